"""Live updates of the sample feed: a forming bar, new bars, corrections, silence, and the largest number of series."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from samplefeed.bars import bars_for
from tests.samplefeed.test_samplefeed import (
    Chart,
    RunningFeed,
    at,
    is_final,
    merged_rows,
    only,
    running_feed,
)

SYMBOL = "BINANCE:BTCUSDT"
NOW = "2026-11-20T15:07:30"


@pytest.fixture(scope="module")
def live_feed() -> Iterator[RunningFeed]:
    with running_feed(
        "--now", NOW, "--update-seconds", "0.05", "--heartbeat-seconds", "0.2", "--most-series", "3"
    ) as feed:
        yield feed


@pytest.fixture
def chart(live_feed: RunningFeed) -> Iterator[Chart]:
    live_feed.reset()
    with Chart(live_feed) as chart:
        yield chart


def set_clock(feed: RunningFeed, text: str) -> None:
    requests.post(f"{feed.site_url}/control/clock", json={"now": text}, timeout=5)


def updated(chart: Chart) -> dict[str, Any]:
    """Return the series of the next live update."""
    series: dict[str, Any] = chart.until(lambda one: one.get("m") == "du")[-1]["p"][1]["s1"]
    return series


def heartbeats(chart: Chart, number: int) -> list[dict[str, Any]]:
    """Return all messages up to `number` further heartbeats."""
    found, wanted = [], len(chart.heartbeats) + number
    while len(chart.heartbeats) < wanted:
        found += chart.receive()
    return found


def test_a_live_update_moves_the_forming_bar_and_adds_the_next_one(
    live_feed: RunningFeed, chart: Chart
) -> None:
    chart.ask(SYMBOL, "1", 5)
    chart.until(is_final)
    set_clock(live_feed, "2026-11-20T15:07:50")

    moved = updated(chart)
    set_clock(live_feed, "2026-11-20T15:08:10")
    grown = updated(chart)

    assert [bar["i"] for bar in moved["s"]] == [4]
    assert moved["lbs"] == {"bar_close_time": int(at("2026-11-20T15:08:00"))}
    # The bar before the new one has its last values.
    assert [bar["i"] for bar in grown["s"]] == [4, 5]
    now = at("2026-11-20T15:08:10")
    assert [bar["v"] for bar in grown["s"]] == bars_for(SYMBOL, "1", 2, now=now)


def test_a_correction_of_a_closed_bar_is_sent(live_feed: RunningFeed, chart: Chart) -> None:
    chart.ask(SYMBOL, "1", 5)
    before = merged_rows(chart.until(is_final))
    live_feed.arm(
        "price_revision", symbol=SYMBOL, at="2026-11-20T15:00",
        first="2026-11-20T15:06", last="2026-11-20T15:07",
    )  # fmt: skip

    (corrected, forming) = updated(chart)["s"]

    assert corrected["i"] == 3
    assert corrected["v"][4] == pytest.approx(before[3][4] + 0.01)
    assert forming["v"] == before[4]
    # A fetch sees the same correction.
    with Chart(live_feed) as other:
        other.ask(SYMBOL, "1", 5)
        assert merged_rows(other.until(is_final))[3] == corrected["v"]


def test_nothing_is_sent_where_nothing_has_changed(chart: Chart) -> None:
    chart.ask(SYMBOL, "1", 5)
    chart.until(is_final)

    assert heartbeats(chart, 2) == []


def test_live_updates_stop_on_demand(live_feed: RunningFeed, chart: Chart) -> None:
    chart.ask(SYMBOL, "1", 5)
    chart.until(is_final)
    live_feed.arm("live_silence", times=None)
    set_clock(live_feed, "2026-11-20T15:08:10")
    assert heartbeats(chart, 2) == []

    live_feed.reset()
    set_clock(live_feed, "2026-11-20T15:08:20")
    assert len(updated(chart)["s"]) == 2

    live_feed.arm("live_cut")
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        heartbeats(chart, 99)


def test_a_dead_connection_stays_open_without_heartbeats(
    live_feed: RunningFeed, chart: Chart
) -> None:
    chart.ask(SYMBOL, "1", 5)
    chart.until(is_final)
    live_feed.arm("live_dead")
    chart.socket.settimeout(1)  # five heartbeats

    with pytest.raises(websocket.WebSocketTimeoutException):
        heartbeats(chart, 99)


def test_a_second_series_of_a_chart_session_is_refused(chart: Chart) -> None:
    chart.ask(SYMBOL, "1", 5)
    chart.until(is_final)

    chart.send("create_series", "cs_test", "s2", "s2", "symbol_1", "1", 5, "")

    refusal = only(chart.until(lambda one: one.get("m") == "critical_error"), "critical_error")
    assert refusal["p"][1] == "exceed limit of series in the session"


def test_one_series_too_many_ends_the_connection(chart: Chart) -> None:
    for number in range(3):
        chart.ask(SYMBOL, "1", 5, chart=f"cs_{number}")
        chart.until(lambda one: one.get("m") == "series_completed")
    # A deleted chart session makes room for another.
    chart.send("chart_delete_session", "cs_0")
    chart.ask(SYMBOL, "1", 5, chart="cs_3")
    chart.until(lambda one: one.get("m") == "series_completed")

    chart.ask(SYMBOL, "1", 5)

    refusal = only(chart.until(is_final), "protocol_error")
    assert refusal["p"] == ["Max state sessions reached"]
