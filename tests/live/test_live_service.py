"""Live bars end to end: a web server, a worker and `manage.py live`, with the sample feed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.support.receivers import HttpReceiver, http_receiver
from tests.support.stacks import Feed, Stack, wait_until

pytestmark = pytest.mark.slow

BTC = {"symbol": "BINANCE:BTCUSDT", "timeframe": "1", "n_bars": 50}
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def live_feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    feed = Feed(tmp_path_factory.mktemp("feed"), "--update-seconds", "0.1")
    yield feed
    feed.stop()


@pytest.fixture(scope="module")
def webhook() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, live_feed: Feed, webhook: HttpReceiver
) -> Iterator[Stack]:
    stack = Stack(
        tmp_path_factory.mktemp("stack"),
        live_feed,
        TV_LIVE="1",
        TV_LIVE_SERIES="2",
        INCIDENT_WEBHOOK_URL=webhook.url,
        INCIDENT_WEBHOOK_SECRET="a-secret-of-the-tests",
    )
    stack.start_web()
    stack.start_worker()
    stack.start_live()
    yield stack
    stack.stop()


@pytest.fixture(autouse=True)
def clean(live_feed: Feed) -> Iterator[None]:
    live_feed.reset()
    yield
    live_feed.reset()


def series_of(stack: Stack, **query: Any) -> int:
    """Return the number of a series whose bars are fetched first."""
    reply = stack.get("ohlc", **BTC | query, wait=60)
    assert reply.status_code == 200, reply.text
    listed = stack.get("series", symbol=reply.json()["symbol"]).json()["results"]
    (found,) = [row["id"] for row in listed if row["timeframe"] == reply.json()["timeframe"]]
    return int(found)


def live(stack: Stack, series: int, **query: Any) -> dict[str, Any]:
    reply = stack.get(f"series/{series}/live", **query)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


def until(look: Callable[[], dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]) -> Any:
    """Return the first reply that is as wanted; show the last one where none is."""
    seen: dict[str, Any] = {}

    def found() -> dict[str, Any] | None:
        nonlocal seen
        seen = look()
        time.sleep(0.1)
        return seen if wanted(seen) else None

    try:
        return wait_until(found, what="the wanted live reply")
    except AssertionError:
        raise AssertionError(f"the last reply was {seen}") from None


def test_the_forming_bar_moves_and_an_unchanged_one_is_a_304(stack: Stack, live_feed: Feed) -> None:
    series = series_of(stack)
    first = live(stack, series)
    assert first["state"] in ("waiting", "behind", "live")

    seen = until(lambda: live(stack, series), lambda body: body["state"] == "live")
    until(lambda: live(stack, series), lambda body: body["ohlc"][-1] != seen["ohlc"][-1])

    assert (seen["summary"], seen["error"], seen["delay_s"]) == ("live", None, 0)
    assert seen["forming"]
    opened = datetime.fromisoformat(seen["ohlc"][-1]["time"])
    assert datetime.fromisoformat(seen["closes_at"]) == opened + MINUTE
    assert datetime.fromisoformat(seen["unconfirmed_from"]) <= opened
    assert seen["trading_dates"] == [row["time"][:10] for row in seen["ohlc"]]
    since = seen["ohlc"][-1]["time"]
    assert live(stack, series, since=since)["ohlc"][0]["time"] == since

    live_feed.arm("live_silence")
    address = f"{stack.url}/api/tv/series/{series}/live"

    def is_unchanged() -> bool:
        tag = requests.get(address, timeout=5).headers["ETag"]
        time.sleep(0.5)
        reply = requests.get(address, headers={"If-None-Match": tag}, timeout=5)
        return reply.status_code == 304 and not reply.content

    wait_until(is_unchanged, what="a 304")


def test_a_new_bar_comes_at_once_and_is_kept_by_a_fetch(stack: Stack, live_feed: Feed) -> None:
    # Series of another test may have all places of the connection.
    stack.manage(
        "shell", "-c", "from datasets.models import LiveSeries as Live; Live.objects.all().delete()"
    )
    # The feed's clock lies behind ours, so that the bar before the newest one has surely settled.
    now = datetime.now(UTC).replace(second=30, microsecond=0) - 3 * MINUTE
    live_feed.set_clock(now)
    series = series_of(stack, symbol="LOAD:LIVE1")
    before = until(lambda: live(stack, series), lambda body: body["state"] == "live")
    forming = before["ohlc"][-1]["time"]

    live_feed.set_clock(now + MINUTE)

    grown = until(lambda: live(stack, series, since=forming), lambda body: body["count"] == 2)
    assert grown["ohlc"][0]["time"] == forming
    # The worker's fetch brings the closed bar into the archive.
    until(
        lambda: stack.get(f"series/{series}").json(),
        lambda row: row["last_time"] > forming,
    )
    bars = stack.get(f"series/{series}/bars", n_bars=2, closed="true").json()["ohlc"]
    assert bars[-1] == grown["ohlc"][0]
    vias = {row["requested_via"] for row in stack.get("fetches").json()["results"]}
    assert "live" in vias


def test_a_cut_connection_is_opened_again_and_a_third_series_waits(
    stack: Stack, live_feed: Feed
) -> None:
    both = [series_of(stack), series_of(stack, symbol="BINANCE:ETHUSDT")]

    def all_live() -> bool:
        return all(live(stack, one)["state"] == "live" for one in both)

    # Series of other tests keep their places until nobody has watched them for 90 s.
    wait_until(all_live, what="two live series", seconds=120)
    n_connections = live_feed.stats()["connections_opened"]
    live_feed.arm("live_cut", times=1)

    wait_until(
        lambda: live_feed.stats()["connections_opened"] > n_connections, what="a new connection"
    )
    wait_until(all_live, what="two live series again")
    third = series_of(stack, symbol="BINANCE:SOLUSDT")
    assert live(stack, third)["state"] in ("waiting", "behind")
    assert live(stack, third)["unconfirmed_from"] is None
    # One connection for both, with one chart session a series.
    assert live_feed.stats()["connections_open"] <= 3


def test_wrong_requests_are_named_errors(stack: Stack) -> None:
    series = series_of(stack)

    unknown = stack.get("series/999999/live")
    wrong = stack.get(f"series/{series}/live", since="yesterday")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_request")
    assert "since" in wrong.json()["errors"]


def test_alerts_of_a_series_that_nobody_watches_reach_the_webhook(
    stack: Stack, live_feed: Feed, webhook: HttpReceiver
) -> None:
    now = datetime.now(UTC).replace(second=30, microsecond=0) - 3 * MINUTE
    live_feed.set_clock(now)
    series = series_of(stack, symbol="BINANCE:XRPUSDT")
    told = live(stack, series)["alerts_at"]
    values = {"symbol": "BINANCE:XRPUSDT", "timeframe": "1", "condition": "above", "price": 1e-9}
    made = {
        bars: requests.post(f"{stack.url}/api/tv/alerts", json=values | {"bars": bars}, timeout=10)
        for bars in ("forming", "closed")
    }
    assert {reply.status_code for reply in made.values()} == {201}

    # The bars of the feed's past have closed before the alerts, those from now on close after them.
    live_feed.set_clock(None)

    wait_until(lambda: len(webhook.received) == 2, what="two messages", seconds=150)
    sent = {
        body["alert"]["bars"]: body for body in (json.loads(one.body) for one in webhook.received)
    }
    for bars, reply in made.items():
        found = stack.get(f"alerts/{reply.json()['id']}").json()
        assert sent[bars]["type"] == "alert.triggered"
        assert (found["state"], found["triggered_bar"]) == (
            "triggered",
            sent[bars]["alert"]["bar_time"],
        )

    def states() -> set[str]:
        return {each["webhook"] for each in stack.get("alerts").json()["results"]}

    wait_until(lambda: states() == {"sent"}, what="the note of the delivery")
    assert live(stack, series)["alerts_at"] != told
