"""The symbol search makes few calls: stored datasets first, one call for equal searches, and errors that name a pause."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from datasets.errors import FeedTimeout, RateLimited
from datasets.fetching import symbol_search, throttle
from datasets.models import Dataset, Fetch
from datasets.tradingview.symbols import SymbolMatch, SymbolPage
from tests.support.stacks import Feed, Stack

MakeDataset = Callable[..., Dataset]


def match(symbol: str, description: str = "") -> SymbolMatch:
    return SymbolMatch(f"BINANCE:{symbol}", symbol, "BINANCE", description, "spot", "USDT")


class Site:
    """Stands in for TradingView's search, and records the queries."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.page = SymbolPage([match("ETHUSDT")], None)
        self.error: Exception | None = None
        self.began, self.may_end = Event(), Event()
        self.may_end.set()

    def search(self, query: str, **rest: Any) -> SymbolPage:
        self.asked.append(query)
        self.began.set()
        assert self.may_end.wait(20)
        if self.error is not None:
            raise self.error
        return self.page


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[Site]:
    cache.clear()
    settings.TV_RATE_PER_MINUTE = 0
    # The log of calls is in this folder.
    settings.STATE_DIR = tmp_path
    made = Site()
    monkeypatch.setattr("datasets.fetching.symbol_search.search_symbols", made.search)
    yield made
    made.may_end.set()


def names(response: Any) -> list[str]:
    return [row["full_symbol"] for row in json.loads(response.content)["symbols"]]


def test_stored_datasets_come_first_and_each_symbol_once(
    client: Client, make_dataset: MakeDataset, site: Site
) -> None:
    make_dataset(300)
    make_dataset(20, timeframe="1D")
    site.page = SymbolPage([match("BTCUSDC"), match("BTCUSDT")], 50)

    response = client.get("/api/tv/symbols?query=btc")

    assert names(response) == ["BINANCE:BTCUSDT", "BINANCE:BTCUSDC"]
    assert json.loads(response.content)["next_start"] == 50
    assert json.loads(response.content)["retry_after_s"] is None


def test_a_symbol_equal_to_the_query_comes_before_stored_ones(
    client: Client, make_dataset: MakeDataset, site: Site
) -> None:
    make_dataset(300)
    site.page = SymbolPage([match("BTCUSD"), match("BTCUSDT")], None)

    response = client.get("/api/tv/symbols?query=btcusd")

    assert names(response) == ["BINANCE:BTCUSD", "BINANCE:BTCUSDT"]


def test_a_complete_page_also_answers_longer_queries(client: Client, db: None, site: Site) -> None:
    site.page = SymbolPage([match("ETHUSDT", "Ether"), match("ETHBTC", "Ether")], None)
    client.get("/api/tv/symbols?query=ET")

    found = [
        names(client.get(f"/api/tv/symbols?query={text}")) for text in ("ETH", "ether", "ETHU")
    ]

    assert site.asked == ["ET"]
    assert found == [["BINANCE:ETHUSDT", "BINANCE:ETHBTC"]] * 2 + [["BINANCE:ETHUSDT"]]


def test_an_incomplete_page_answers_only_its_own_query(
    client: Client, db: None, site: Site
) -> None:
    site.page = SymbolPage([match("ETHUSDT")], 50)

    for text in ("ET", "ETH", "ETH", "ET"):
        client.get(f"/api/tv/symbols?query={text}")

    assert site.asked == ["ET", "ETH"]


def test_a_longer_query_without_a_cached_match_makes_a_call(
    client: Client, db: None, site: Site
) -> None:
    client.get("/api/tv/symbols?query=ET")
    client.get("/api/tv/symbols?query=ETX")

    assert site.asked == ["ET", "ETX"]


def search_once(query: str) -> list[str]:
    # No rows are read here: a thread has its own connection, outside the test's transaction.
    return [
        one.full_symbol
        for one in symbol_search._called(symbol_search.Search(query), longest_wait_s=5.0).matches
    ]


def test_equal_searches_in_threads_share_one_call(site: Site) -> None:
    site.may_end.clear()

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(search_once, "ETH") for _ in range(8)]
        assert site.began.wait(20)
        site.may_end.set()
        found = [one.result() for one in asking]

    assert found == [["BINANCE:ETHUSDT"]] * 8
    assert site.asked == ["ETH"]


@pytest.mark.parametrize("is_on_redis", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_equal_searches_in_processes_share_one_call(
    clean_feed: Feed, tmp_path: Any, is_on_redis: bool, request: pytest.FixtureRequest
) -> None:
    more = {"CACHE_URL": request.getfixturevalue("redis_url")} if is_on_redis else {}
    stack = Stack(tmp_path, clean_feed, **more)
    before = clean_feed.stats()["searches"]

    try:
        stack.start_web(workers=2)
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(stack.get, "symbols", query="BTCUSDT") for _ in range(8)]
            replies = [one.result() for one in asking]
    finally:
        stack.stop()

    assert {reply.status_code for reply in replies} == {200}
    assert clean_feed.stats()["searches"] == before + 1


@pytest.mark.parametrize("has_stored", [False, True])
def test_a_search_over_the_limit_names_the_seconds_left(
    client: Client, make_dataset: MakeDataset, site: Site, settings: Any, has_stored: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if has_stored:
        make_dataset(300)
    monkeypatch.setattr(symbol_search, "_LONGEST_WAIT_S", 0.0)
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST = 2, 1

    first = client.get("/api/tv/symbols?query=B")
    second = client.get("/api/tv/symbols?query=BT")

    assert first.status_code == 200
    assert 1 <= int(second["Retry-After"]) <= 60
    said = json.loads(second.content)
    if has_stored:
        assert second.status_code == 200
        assert names(second) == ["BINANCE:BTCUSDT"]
        assert 0 < said["retry_after_s"] <= 60
    else:
        assert (second.status_code, said["code"], said["retryable"]) == (500, "rate_limited", True)
        assert f"try again in {second['Retry-After']} s" in said["detail"]


def test_a_refused_search_starts_a_pause_and_names_the_seconds_left(
    client: Client, db: None, site: Site
) -> None:
    site.error = RateLimited("TradingView refuses the symbol search (HTTP 403).")

    first, second = (client.get(f"/api/tv/symbols?query={text}") for text in ("A", "B"))

    assert site.asked == ["A"]
    for response in (first, second):
        assert 50 < int(response["Retry-After"]) <= 60
    assert "s are left" in json.loads(second.content)["detail"]
    # Fetches have no cool-down.
    assert throttle.running_cool_down() is None


def test_a_failed_fetch_is_one_line_with_key_and_code(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(pk: int) -> None:
        Fetch.objects.filter(pk=pk).update(
            state="failed", error_code="symbol_not_found", error_message="There is no such symbol."
        )

    monkeypatch.setattr("datasets.fetching.tasks.enqueue", fail)
    monkeypatch.setattr("django.db.transaction.on_commit", lambda call: call())
    monkeypatch.setattr("datasets.serving.answers.wait_for", lambda fetch, **rest: (fetch.refresh_from_db(), fetch)[1])  # fmt: skip

    response = client.get("/api/tv/ohlc?symbol=BINANCE:NOSUCH&timeframe=1D&n_bars=10")

    assert response.status_code == 500
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "BINANCE:NOSUCH 1D 10: symbol_not_found: There is no such symbol."


def test_a_failed_search_is_one_line_with_the_text_and_code(
    client: Client, db: None, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.error = FeedTimeout("It was silent.")

    client.get("/api/tv/symbols?query=bt%0Ac")

    (record,) = caplog.records
    assert record.getMessage() == "symbol search 'bt\\nc': feed_timeout: It was silent."


def test_an_unexpected_error_is_logged_with_its_traceback(
    client: Client, db: None, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.error = ZeroDivisionError()
    client.raise_request_exception = False

    client.get("/api/tv/symbols?query=b")

    (record,) = [record for record in caplog.records if record.name == "django.request"]
    assert record.levelno == logging.ERROR
    assert record.exc_info
