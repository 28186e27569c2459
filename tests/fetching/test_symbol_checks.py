"""A symbol that does not exist is said at once; one that cannot be checked is kept with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache

from datasets import watchlists
from datasets.errors import InvalidRequest
from datasets.fetching.schedule import check_symbols, symbol_checks, watch_symbols
from datasets.models import WatchedSymbol, Watchlist
from tests.support.archives import plain_bars
from tests.support.arrivals import Arrivals
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def search(settings: Any, clean_feed: Feed) -> None:
    settings.TV_SEARCH_URL = clean_feed.addresses["search_url"]
    settings.TV_RATE_PER_MINUTE = 0
    cache.clear()


@pytest.fixture
def watchlist() -> Watchlist:
    return watchlists.create_watchlist("mine")


def test_known_symbols_are_added_without_a_problem(watchlist: Watchlist) -> None:
    rows = watch_symbols(watchlist, watchlists.read_symbols("NASDAQ:AAPL,BINANCE:BTCUSDT"))

    assert [(str(row), row.problem) for row in rows] == [
        ("NASDAQ:AAPL", ""),
        ("BINANCE:BTCUSDT", ""),
    ]


def test_unknown_symbols_are_all_named_and_nothing_is_added(watchlist: Watchlist) -> None:
    with pytest.raises(InvalidRequest) as caught:
        watch_symbols(watchlist, watchlists.read_symbols("NASDAQ:AAPL,NASDAQ:NIX1,NYSE:NIX2"))

    messages = caught.value.errors["symbols"]
    assert [message.split(" ")[0] for message in messages] == ["NASDAQ:NIX1", "NYSE:NIX2"]
    assert not WatchedSymbol.objects.exists()


def test_while_the_search_is_away_symbols_are_kept_with_a_sentence(
    watchlist: Watchlist, settings: Any
) -> None:
    settings.TV_SEARCH_URL = "http://127.0.0.1:9"

    rows = watch_symbols(watchlist, watchlists.read_symbols("NASDAQ:AAPL,NASDAQ:NIX1"))

    assert [row.problem.split(":")[0] for row in rows] == ["Not checked", "Not checked"]
    assert "The first fetch shows" in WatchedSymbol.objects.first().problem  # type: ignore[union-attr]


def test_the_check_of_a_long_list_ends_and_its_rest_stays_unchecked(
    watchlist: Watchlist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symbol_checks, "_DEADLINE_S", -1.0)

    problems = check_symbols(watchlists.read_symbols("NASDAQ:AAPL,NASDAQ:NIX1"))

    assert ["few calls a minute" in text for text in problems.values()] == [True, True]


def test_archived_symbols_and_expressions_need_no_search(
    settings: Any, make_dataset: Callable[..., Any]
) -> None:
    Arrivals().arrive(plain_bars(range(300)))
    settings.TV_SEARCH_URL = "http://127.0.0.1:9"

    assert check_symbols(watchlists.read_symbols("NASDAQ:AAPL,(NYSE:A+NYSE:B)/2")) == {}
