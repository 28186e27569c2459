"""Refreshes over many days through the real path, while the feed splits, revises and goes away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from datasets.fetching import feed_clients
from tests.support.simulation.held_clock import held_clock
from tests.support.simulation.proofs import (
    findings,
    held_bars,
    lost_bars,
    wrong_holes,
    wrong_steps,
)
from tests.support.simulation.refresh_plan import RefreshPlan, Watched, instant
from tests.support.simulation.refreshes import Refreshes
from tests.support.simulation.sent_bars import SentBars, sent_bars
from tests.support.simulation.year_plan import year_plan
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db(transaction=True)

START = date(2025, 3, 3)


def on(number: int, hour: int = 0) -> str:
    """Return the instant of an hour of a day of the plan."""
    return instant(START + timedelta(days=number), hour).isoformat()


PLAN = RefreshPlan(
    start=START,
    n_days=15,
    window=100,
    watched=(
        Watched("NASDAQ:AAPL", "1h", 100),
        Watched("NYSE:JPM", "1D", 100, "dividends"),
        Watched("CME_MINI:ES1!", "4h", 80, every_days=2),
        Watched("BINANCE:SOLUSDT", "1h", 100, every_days=2),
        Watched("BINANCE:ETHUSDT", "1h", 60, every_days=2),
        Watched("NASDAQ:MSFT", "1D", 80, every_days=2),
    ),
    changes=(
        ("volume_revision", {"symbol": "NASDAQ:AAPL", "at": on(0)}),
        ("split", {"symbol": "NASDAQ:AAPL", "at": on(7, 9), "ratio": 4, "half_until": on(7, 22), "half_s": 345_600}),
        ("dividend", {"symbol": "NYSE:JPM", "at": on(4, 9), "share": 0.008}),
        ("dividend", {"symbol": "NYSE:JPM", "at": on(10, 9), "share": 0.012}),
        ("roll", {"symbol": "CME_MINI:ES1!", "at": on(9), "offset": 41.25}),
        ("price_revision", {"symbol": "CME_MINI:ES1!", "at": on(2), "first": on(1), "last": on(1, 8), "ticks": 7}),
        ("outage", {"symbol": "BINANCE:SOLUSDT", "at": on(4), "until": on(10)}),
        ("outage", {"symbol": "BINANCE:ETHUSDT", "at": on(4), "until": on(6)}),
        ("feed_change", {"symbol": "NASDAQ:MSFT", "at": on(9), "full_name": "NASDAQ:MSFT"}),
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def use_feed(settings: Any, clean_feed: Feed) -> Iterator[None]:
    settings.TV_WS_URL = clean_feed.ws_url
    feed_clients._client_of.cache_clear()
    yield
    feed_clients.feed_client().close()


def run(plan: RefreshPlan, feed: Feed, settings: Any) -> tuple[Refreshes, SentBars]:
    """Run the plan, with the feed's window also as the service's."""
    settings.TV_MAX_BARS = plan.window
    with held_clock(feed, instant(plan.start, 12)) as clock, sent_bars() as sent:
        refreshes = Refreshes(plan, feed, clock, sent)
        refreshes.run()
    return refreshes, sent


def require_whole(refreshes: Refreshes, sent: SentBars) -> None:
    """Fail unless every archive has all that the feed sent, in the feed's present basis."""
    for each in refreshes.series:
        held = held_bars(each)
        assert lost_bars(each, sent) == 0, each.key
        assert wrong_steps(each) == []
        assert wrong_holes(each) == []
        assert each.mixed == []
        assert (held.missing, held.strange, held.wrong) == (0, 0, 0), each.key
        assert held.largest_error < 1e-6, each.key


def test_two_weeks_of_refreshes_lose_no_bar_and_mix_no_bases(
    clean_feed: Feed, settings: Any
) -> None:
    refreshes, sent = run(PLAN, clean_feed, settings)

    require_whole(refreshes, sent)
    found = findings(refreshes.series)
    assert (found["ratio"], found["offset"], found["feed_changed"]) == (3, 1, 1)
    assert found["volume"] > 5
    assert [len(each.expected_holes) for each in refreshes.series] == [0, 0, 0, 1, 0, 0]


@pytest.mark.slow
def test_three_months_of_fifty_series_lose_no_bar_and_mix_no_bases(
    clean_feed: Feed, settings: Any
) -> None:
    require_whole(*run(year_plan(90), clean_feed, settings))
