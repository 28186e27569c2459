"""The sample feed as its clients use it: a real process and real sockets."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tvDatafeed.main as stock
import websocket

from samplefeed.bars import bars_for
from samplefeed.changes import CHANGES
from samplefeed.faults import CONVERSATION_FAULTS, FAULTS, altered_rows
from samplefeed.holidays import EPOCH, us_holidays
from samplefeed.instruments import all_instruments, find_instrument
from tests.support.recordings import csv_rows, messages_of_list, recording

ROOT = Path(__file__).parents[2]
NOW_TEXT = "2026-11-20T15:07:30"  # a Friday: New York, London and Chicago trade
NOW = datetime.fromisoformat(NOW_TEXT).replace(tzinfo=UTC).timestamp()
DEADLINE_SECONDS = 10.0
SITE = {"Referer": "https://www.tradingview.com"}


# --- the server and a client of it ----------------------------------------------------


class RunningFeed:
    """One server process and its addresses."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "samplefeed", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        places = json.loads(self.process.stdout.readline())
        self.ws_url: str = places["ws_url"]
        self.site_url: str = places["site_url"]
        self.search_url: str = places["search_url"]
        self.port: int = places["port"]

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.site_url}/control/stats", timeout=5).json()
        return answer

    def arm(self, name: str, *, times: int | None = 1, **args: Any) -> requests.Response:
        body = {"name": name, "times": times, "args": args}
        return requests.post(f"{self.site_url}/control/fault", json=body, timeout=5)

    def reset(self) -> None:
        requests.post(f"{self.site_url}/control/reset", timeout=5).raise_for_status()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=5)
        return self.process.returncode


@contextlib.contextmanager
def running_feed(*arguments: str) -> Iterator[RunningFeed]:
    running = RunningFeed(*arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture(scope="module")
def frozen_feed() -> Iterator[RunningFeed]:
    with running_feed("--now", NOW_TEXT) as running:
        yield running


@pytest.fixture(scope="module")
def beating_feed() -> Iterator[RunningFeed]:
    """A feed with frequent heartbeats; it closes connections that do not answer at once."""
    with running_feed("--now", NOW_TEXT, "--heartbeat-seconds", "0.2") as running:
        yield running


@pytest.fixture
def feed(frozen_feed: RunningFeed) -> RunningFeed:
    frozen_feed.reset()
    return frozen_feed


class Chart:
    """A strict client: it checks the length of each frame, answers heartbeats and has a deadline."""

    def __init__(self, feed: RunningFeed, *, answers_heartbeats: bool = True) -> None:
        self.socket = websocket.create_connection(feed.ws_url, timeout=DEADLINE_SECONDS)
        self.answers_heartbeats = answers_heartbeats
        self.heartbeats: list[str] = []
        self.messages: list[list[dict[str, Any]]] = []

    def __enter__(self) -> Chart:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.shutdown()  # type: ignore[no-untyped-call]

    def send(self, method: str, *parameters: Any) -> None:
        payload = json.dumps({"m": method, "p": parameters})
        self.socket.send(f"~m~{len(payload)}~m~{payload}")

    def receive(self) -> list[dict[str, Any]]:
        """Return the JSON payloads of one message; heartbeats are stored separately."""
        payloads = split_strictly(self.socket.recv())
        found = []
        for payload in payloads:
            if payload.startswith("~h~"):
                self.heartbeats.append(payload)
                if self.answers_heartbeats:
                    self.socket.send(f"~m~{len(payload)}~m~{payload}")
            else:
                found.append(json.loads(payload))
        self.messages.append(found)
        return found

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return all messages up to the first one with the wanted method."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            found += (received := self.receive())
            if any(map(wanted, received)):
                return found
        raise AssertionError(f"not within {DEADLINE_SECONDS} s; came: {names(found)}")

    def ask(
        self,
        symbol: str | dict[str, Any],
        timeframe: str = "60",
        n_bars: int = 20,
        *,
        chart: str = "cs_test",
    ) -> None:
        asked = symbol if isinstance(symbol, str) else "=" + json.dumps(symbol)
        self.send("set_auth_token", "unauthorized_user_token")
        self.send("chart_create_session", chart, "")
        self.send("resolve_symbol", chart, "symbol_1", asked)
        self.send("create_series", chart, "s1", "s1", "symbol_1", timeframe, n_bars, "")

    def more(self, n_bars: int) -> list[dict[str, Any]]:
        self.send("request_more_data", "cs_test", "s1", n_bars)
        return self.until(is_final)


def split_strictly(text: str | bytes) -> list[str]:
    data = (
        (text if isinstance(text, str) else text.decode()).encode("utf-16-le").decode("utf-16-le")
    )
    units, position, payloads = data.encode("utf-16-le"), 0, []
    while position < len(units):
        header = re.match(r"~m~(\d+)~m~", units[position : position + 60].decode("utf-16-le"))
        assert header is not None, data[:100]
        start = position + 2 * header.end()
        position = start + 2 * int(header[1])
        assert position <= len(units)
        payloads.append(units[start:position].decode("utf-16-le"))
    return payloads


def is_final(message: dict[str, Any]) -> bool:
    if message.get("m") in {"series_completed", "series_error"}:
        return bool(message["p"][0] == "cs_test" and message["p"][1] == "s1")
    is_critical = message.get("m") == "critical_error" and message["p"][0] == "cs_test"
    return is_critical or message.get("m") == "protocol_error"


def names(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("m", "hello") for message in messages]


def only(messages: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [message for message in messages if message.get("m") == name]
    return found


def merged_rows(messages: list[dict[str, Any]]) -> list[list[Any]]:
    """Return the bars of our series, oldest first; of two bars with one time, the later counts."""
    rows: dict[float, list[Any]] = {}
    for message in messages:
        if message.get("m") in {"timescale_update", "du"} and message["p"][0] == "cs_test":
            bars = message["p"][1].get("s1", {}).get("s", [])
            rows |= {bar["v"][0]: bar["v"] for bar in bars}
    return [rows[at] for at in sorted(rows)]


def fetch(
    feed: RunningFeed, symbol: str | dict[str, Any], timeframe: str = "60", n_bars: int = 20
) -> list[dict[str, Any]]:
    with Chart(feed) as chart:
        chart.ask(symbol, timeframe, n_bars)
        return chart.until(is_final)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %H:%M")


# --- a good conversation --------------------------------------------------------------


def test_the_first_message_is_a_hello_without_a_method(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        (hello,) = chart.receive()

    assert hello["protocol"] == "json"
    assert "m" not in hello


def test_a_good_answer_is_one_message_in_the_recorded_order(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.ask({"symbol": "NASDAQ:AAPL", "adjustment": "splits"}, "1D", 5)
        chart.until(is_final)

    recorded = [
        json.loads(one) for one in split_strictly(messages_of_list("mkt-cli_history-ok.json")[1])
    ]
    answer = next(message for message in chart.messages if "series_completed" in names(message))
    assert names(answer) == names(recorded)
    for ours, theirs in zip(answer, recorded, strict=True):
        assert set(ours) == set(theirs)
        assert len(ours["p"]) == len(theirs["p"])
    ours_update, their_update = answer[2]["p"], recorded[2]["p"]
    assert set(ours_update[1]["s1"]) == set(their_update[1]["sds_1"])
    assert set(ours_update[2]) == set(their_update[2])
    assert answer[3]["p"] == ["cs_test", "s1", "streaming", "s1", {"rt_update_period": 5}]


def test_a_stock_is_resolved_as_it_was_recorded(feed: RunningFeed) -> None:
    ours = only(fetch(feed, "NASDAQ:AAPL"), "symbol_resolved")["p"][2]

    assert ours["pro_name"] == "NASDAQ:AAPL"
    assert ours["full_name"] == "BATS:AAPL"
    assert ours["session"] == "0930-1600"
    assert ours["timezone"] == "America/New_York"
    assert ours["visible_plots_set"] == "ohlcv"
    assert {one["id"] for one in ours["subsessions"]} >= {"regular", "extended"}


@pytest.mark.parametrize(
    ("symbol", "timeframe", "n_bars"),
    [
        ("BINANCE:BTCUSDT", "1H", 500),
        ("BINANCE:SHIBUSDT", "1", 50),
        ("NASDAQ:AAPL", "1D", 9000),
        ("NSE:M&M", "45", 100),
        ("FX_IDC:EURUSD", "1W", 100),
        ("SP:SPX", "1M", 5000),
        ("CME_MINI:ES1!", "3H", 100),
        ("CME_MINI:ESZ2026", "1D", 20),
        ("BINANCE:BTCUSDT/BINANCE:ETHUSDT", "60", 50),
        ("(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2", "1D", 50),
        ("LOAD:ANYTHING", "5", 50),
    ],
)
def test_the_bars_of_a_reply_equal_those_of_bars_for(
    feed: RunningFeed, symbol: str, timeframe: str, n_bars: int
) -> None:
    rows = merged_rows(fetch(feed, {"symbol": symbol}, timeframe, n_bars))

    assert rows == bars_for(symbol, timeframe, n_bars, now=NOW)


def test_small_prices_are_written_as_tradingview_writes_them(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.ask("BINANCE:SHIBUSDT", "60", 5)
        chart.receive()
        text = str(chart.socket.recv())

    assert re.search(r"\d\.\d+e-05,", text)
    assert not re.search(r"e-\d,", text)


@pytest.mark.parametrize("n_bars", [10, 1000])
def test_the_unmodified_stock_client_gets_the_bars(
    feed: RunningFeed, monkeypatch: pytest.MonkeyPatch, n_bars: int
) -> None:
    def connect(url: str, **options: Any) -> websocket.WebSocket:
        return websocket.create_connection(feed.ws_url, timeout=options["timeout"])

    monkeypatch.setattr(stock, "create_connection", connect)
    client = stock.TvDatafeed()
    table = client.get_hist("BTCUSDT", "BINANCE", stock.Interval.in_1_hour, n_bars=n_bars)
    client.ws.close()

    expected = bars_for("BINANCE:BTCUSDT", "1H", n_bars, now=NOW)
    assert table[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [
        row[1:] for row in expected
    ]


def test_the_flags_of_the_stock_client_fail_its_quote_session_alone(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.send("quote_create_session", "qs_test")
        chart.send("quote_add_symbols", "qs_test", "NASDAQ:AAPL", {"flags": ["force_permission"]})
        chart.ask("NASDAQ:AAPL")
        messages = chart.until(is_final)

    assert only(messages, "critical_error")["p"] == [
        "qs_test",
        "invalid_parameters",
        "quote_add_symbols",
    ]
    assert "series_completed" in names(messages)


def test_quotes_arrive_between_the_messages_of_the_chart(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.send("quote_create_session", "qs_test")
        chart.send("quote_add_symbols", "qs_test", "NASDAQ:AAPL", "NASDAQ:NONE")
        chart.ask("NASDAQ:AAPL")
        chart.until(is_final)

    quotes = [one for message in chart.messages for one in message if one.get("m") == "qsd"]
    assert quotes[0]["p"][1]["v"]["update_mode"] == "streaming"
    assert quotes[1]["p"][1]["errmsg"] == "no_such_symbol"
    assert names(chart.messages[-1]).index("qsd") in {2, 3}


def test_one_connection_serves_several_chart_sessions(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        for session, symbol in (("cs_one", "NASDAQ:AAPL"), ("cs_two", "NASDAQ:MSFT")):
            chart.ask(symbol, chart=session)
            messages = chart.until(lambda one: one.get("m") == "series_completed")
            assert only(messages, "symbol_resolved")["p"][0] == session
            chart.send("remove_series", session, "s1")
            chart.send("chart_delete_session", session)


def test_the_two_hundred_and_first_chart_session_is_refused(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        for number in range(201):
            chart.send("chart_create_session", f"cs_{number}", "")
        messages = chart.until(is_final)

    assert messages[-1]["p"] == ["max sessions rate reached"]


def test_a_symbol_without_a_series_is_answered_too(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.send("chart_create_session", "cs_test", "")
        chart.send("resolve_symbol", "cs_test", "sds_sym_1", "NYSE:BRK.B")
        messages = chart.until(lambda one: one.get("m") == "symbol_resolved")

    assert messages[-1]["p"][2]["pro_name"] == "NYSE:BRK.B"


# --- refusals -------------------------------------------------------------------------


def test_an_unknown_symbol_is_an_error_and_never_completed(feed: RunningFeed) -> None:
    messages = fetch(feed, "NASDAQ:NOSUCHTHING")

    assert names(messages)[1:] == ["series_loading", "symbol_error", "series_error"]
    assert messages[2]["p"] == ["cs_test", "symbol_1", "invalid symbol"]
    assert messages[3]["p"][3] == "resolve error"


def test_economics_need_another_plan(feed: RunningFeed) -> None:
    error = only(fetch(feed, "ECONOMICS:USM2", "1M"), "symbol_error")

    assert error["p"][2:] == ["permission denied", "group", "economics_paid"]


@pytest.mark.parametrize(
    ("symbol", "timeframe", "reason"),
    [
        ("NASDAQ:AAPL", "1S", "seconds_not_entitled"),
        ("NASDAQ:AAPL", "1T", "ticks_not_entitled"),
        ("NASDAQ:AAPL", "2D", "custom_resolution"),
        ("NASDAQ:AAPL", "188", "custom_resolution"),
        ("INDEX:NDFI", "5", "unsupported resolution: INDEX:NDFI, 5"),
    ],
)
def test_a_timeframe_may_be_refused(
    feed: RunningFeed, symbol: str, timeframe: str, reason: str
) -> None:
    error = only(fetch(feed, symbol, timeframe), "series_error")

    assert error["p"][3] == reason


def test_an_invalid_timeframe_is_a_critical_error(feed: RunningFeed) -> None:
    error = only(fetch(feed, "NASDAQ:AAPL", "XX", 100), "critical_error")

    assert error["p"][1] == "invalid parameters"
    assert error["p"][2] == 'method: create_series. args: "[$prices, s1, s1, symbol_1, XX, 100]"'


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", ""])
def test_a_bad_token_ends_the_connection(feed: RunningFeed, token: str) -> None:
    with Chart(feed) as chart:
        chart.send("set_auth_token", token)
        messages = chart.until(is_final)
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            read_to_the_end(chart)

    assert messages[-1]["p"] == ["bad auth token"]


def read_to_the_end(chart: Chart) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if not chart.socket.recv():
            raise websocket.WebSocketConnectionClosedException("closed properly")
    raise AssertionError("the connection stayed open")


def test_text_that_is_not_a_frame_is_wrong_data(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.socket.send("hello")

        assert chart.until(is_final)[-1]["p"] == ["wrong data"]


# --- older and newer bars -------------------------------------------------------------


def test_older_bars_come_until_the_beginning_of_history(feed: RunningFeed) -> None:
    with Chart(feed) as chart:
        chart.ask("BINANCE:PEPEUSDT", "1D", 500)
        messages = chart.until(is_final)
        second = chart.more(500)
        third = chart.more(500)
        nothing = chart.more(500)

    bars = only(second, "timescale_update")["p"][1]["s1"]["s"]
    assert [bar["i"] for bar in bars] == list(range(-500, 0))
    assert only(third, "series_completed")["p"][4]["data_completed"] == "limit"
    assert names(nothing) == ["series_loading", "series_completed"]
    everything = bars_for("BINANCE:PEPEUSDT", "1D", 40_000, now=NOW)
    assert merged_rows([*messages, *second, *third]) == everything
    assert everything[0][0] == at("2023-05-05")


def test_plan_and_first_reply_limit_the_number_of_bars() -> None:
    with (
        running_feed("--now", NOW_TEXT, "--plan-window", "250", "--first-reply", "100") as feed,
        Chart(feed) as chart,
    ):
        chart.ask("BINANCE:BTCUSDT", "60", 1000)
        first = chart.until(is_final)
        second = chart.more(900)

    assert len(merged_rows(first)) == 100
    assert "data_completed" not in only(first, "series_completed")["p"][4]
    assert len(merged_rows(second)) == 150
    assert only(second, "series_completed")["p"][4]["data_completed"] == "limit"


def test_a_range_is_cut_out_of_the_window(feed: RunningFeed) -> None:
    span = (int(at("2026-11-01")), int(at("2026-11-02")))
    with Chart(feed) as chart:
        chart.send("chart_create_session", "cs_test", "")
        chart.send("resolve_symbol", "cs_test", "symbol_1", "BINANCE:BTCUSDT")
        text = f"r,{span[0]}:{span[1]}"
        chart.send("create_series", "cs_test", "s1", "s1", "symbol_1", "60", 10, text)
        rows = merged_rows(chart.until(is_final))

    assert [rows[0][0], rows[-1][0]] == [float(second) for second in span]


def test_the_forming_bar_is_updated_after_completion() -> None:
    with running_feed("--update-seconds", "0.05") as feed, Chart(feed) as chart:
        chart.ask("BINANCE:BTCUSDT", "1", 5)
        chart.until(is_final)
        update = chart.until(lambda one: one.get("m") == "du")[-1]

    series = update["p"][1]["s1"]
    assert len(update["p"]) == 2
    assert series["ns"]["indexes"] == "nochange"
    assert series["s"][0]["i"] >= 4


def test_a_stopped_clock_gives_the_same_bytes_again(feed: RunningFeed) -> None:
    answers = []
    for _ in range(2):
        with Chart(feed) as chart:
            chart.ask("BINANCE:BTCUSDT", "60", 3000)
            chart.until(is_final)
            answers.append(chart.messages[-1])

    assert answers[0] == answers[1]


# --- heartbeats -----------------------------------------------------------------------


def test_heartbeats_count_from_one_and_come_without_other_messages(
    beating_feed: RunningFeed,
) -> None:
    with Chart(beating_feed) as chart:
        while len(chart.heartbeats) < 3:
            chart.receive()

    assert chart.heartbeats[:3] == ["~h~1", "~h~2", "~h~3"]
    assert beating_feed.stats()["heartbeats_answered"] >= 2


def test_a_client_that_answers_no_heartbeat_is_dropped(beating_feed: RunningFeed) -> None:
    with (
        Chart(beating_feed, answers_heartbeats=False) as chart,
        pytest.raises(websocket.WebSocketConnectionClosedException),
    ):
        read_to_the_end(chart)


# --- the bars -------------------------------------------------------------------------

MARKETS = [
    "BINANCE:BTCUSDT",
    "BINANCE:XMRUSDT",  # illiquid: minutes without trade
    "NASDAQ:AAPL",
    "NYSE:BRK.A",
    "FX_IDC:EURUSD",
    "CME_MINI:ES1!",
    "HOSE:VCB",
    "NSE:RELIANCE",
    "TSE:7203",
]
LADDER = ["1", "3", "15", "45", "180"], ["1", "5", "30", "60", "120", "240", "1D", "1W"]


@pytest.mark.parametrize("symbol", MARKETS)
@pytest.mark.parametrize("ladder", LADDER, ids=["in threes", "in twos"])
def test_longer_bars_are_exactly_the_sum_of_shorter_ones(symbol: str, ladder: list[str]) -> None:
    scale = find_instrument(symbol)
    assert scale is not None
    for shorter, longer in zip(ladder, ladder[1:], strict=False):
        low = bars_for(symbol, shorter, 2000, now=NOW)
        high = [row for row in bars_for(symbol, longer, 500, now=NOW) if row[0] > low[0][0]]
        assert len(high) > 3
        edges = np.searchsorted([row[0] for row in low], [row[0] for row in high])
        for row, start, end in zip(high, edges, [*edges[1:], len(low)], strict=True):
            part = low[start:end]
            assert row[1] == part[0][1]
            assert row[2] == max(one[2] for one in part)
            assert row[3] == min(one[3] for one in part)
            assert row[4] == part[-1][4]
            if len(row) > 5:
                units = sum(round(one[5] * scale.volume_scale) for one in part)
                assert round(row[5] * scale.volume_scale) == units


@pytest.mark.parametrize("symbol", MARKETS)
@pytest.mark.parametrize("timeframe", ["1", "60", "1D", "1M"])
def test_overlapping_requests_always_agree(symbol: str, timeframe: str) -> None:
    earlier = bars_for(symbol, timeframe, 300, now=NOW - 2 * 86_400)[:-1]
    later = {row[0]: row for row in bars_for(symbol, timeframe, 5000, now=NOW)}

    assert earlier
    assert all(later[row[0]] == row for row in earlier)


@pytest.mark.parametrize("symbol", MARKETS)
def test_highs_and_lows_enclose_the_rest_and_times_rise(symbol: str) -> None:
    for timeframe in ("1", "60", "1D"):
        rows = np.array(bars_for(symbol, timeframe, 3000, now=NOW))
        assert np.all(np.diff(rows[:, 0]) > 0)
        assert np.all(rows[:, 2] >= rows[:, 1:5].max(axis=1))
        assert np.all(rows[:, 3] <= rows[:, 1:5].min(axis=1))
        assert np.all(rows[:, 1:5] > 0)


def opens(symbol: str, timeframe: str, n_bars: int, now: str) -> list[str]:
    return [clock(row[0]) for row in bars_for(symbol, timeframe, n_bars, now=at(now))]


def test_new_york_opens_by_its_local_time() -> None:
    summer = opens("NASDAQ:AAPL", "60", 7, "2026-07-10T21:00")
    winter = opens("NASDAQ:AAPL", "60", 7, "2026-01-09T22:00")

    assert summer == [f"Fri {hour}:30" for hour in range(13, 20)]
    assert winter == [f"Fri {hour}:30" for hour in range(14, 21)]


def test_extended_hours_surround_the_regular_session() -> None:
    now = at("2026-07-11")
    hours = [
        clock(row[0]) for row in bars_for("NASDAQ:AAPL", "60", 16, now=now, session="extended")
    ]
    minutes = {
        row[0]: row for row in bars_for("NASDAQ:AAPL", "1", 960, now=now, session="extended")
    }

    assert hours == [f"Fri {hour:02}:00" for hour in range(8, 24)]
    for row in bars_for("NASDAQ:AAPL", "1", 390, now=now):
        assert minutes[row[0]] == row


def test_stocks_rest_at_weekends_and_on_holidays() -> None:
    days = {clock(row[0])[:3] for row in bars_for("NASDAQ:AAPL", "1D", 500, now=NOW)}
    dates = {
        datetime.fromtimestamp(row[0], UTC).date()
        for row in bars_for("NASDAQ:AAPL", "1D", 7000, now=NOW)
    }

    assert days == {"Mon", "Tue", "Wed", "Thu", "Fri"}
    assert not dates & {datetime(2025, 12, 25).date(), datetime(2026, 4, 3).date()}  # noqa: DTZ001


def test_the_holidays_are_those_of_the_recording() -> None:
    text = messages_of_list("mkt-cli_history-ok.json")[1].decode()
    found = re.search('"session_holidays":"([^"]*)"', text)
    assert found is not None
    ours = {f"{day:%Y%m%d}" for day in map(date_of, us_holidays()) if 2000 <= day.year <= 2027}

    # Two days of mourning are in another list of TradingView.
    assert ours - {"20181205", "20250109"} == set(found[1].split(","))


def date_of(number: int) -> Any:
    return (np.datetime64(EPOCH) + np.timedelta64(number, "D")).astype(object)


def test_currencies_trade_from_sunday_evening_to_friday_evening() -> None:
    days = opens("FX_IDC:EURUSD", "1D", 5, "2026-07-10T22:00")

    assert days == ["Sun 21:00", "Mon 21:00", "Tue 21:00", "Wed 21:00", "Thu 21:00"]
    assert opens("FX_IDC:EURUSD", "60", 3, "2026-07-12T22:30") == [
        "Fri 20:00",
        "Sun 21:00",
        "Sun 22:00",
    ]


def test_ho_chi_minh_city_has_a_midday_break() -> None:
    hours = opens("HOSE:VCB", "60", 5, "2026-07-10T20:00")

    assert hours == ["Fri 02:00", "Fri 03:00", "Fri 04:00", "Fri 06:00", "Fri 07:00"]


def test_crypto_trades_without_a_break_and_weeks_begin_on_monday() -> None:
    rows = np.array(bars_for("BINANCE:BTCUSDT", "60", 3000, now=NOW))

    assert set(np.diff(rows[:, 0])) == {3600.0}
    assert {one[:3] for one in opens("BINANCE:BTCUSDT", "1W", 50, NOW_TEXT)} == {"Mon"}


def test_an_illiquid_instrument_has_gaps_without_a_change_of_price() -> None:
    rows = bars_for("BINANCE:XMRUSDT", "1", 1000, now=NOW)
    gaps = [(one, two) for one, two in zip(rows, rows[1:], strict=False) if two[0] - one[0] > 60]

    assert len(gaps) > 50
    assert all(two[1] == one[4] for one, two in gaps)


@pytest.mark.parametrize("timeframe", ["1D", "1W", "1M"])
def test_an_old_index_reaches_back_before_1970_and_has_no_volume(timeframe: str) -> None:
    rows = bars_for("SP:SPX", timeframe, 40_000, now=NOW)

    assert rows[0][0] == at("1950-01-03T14:30")
    assert {len(row) for row in rows} == {5}


@pytest.mark.parametrize(
    ("symbol", "timeframe", "difference"),
    [
        ("TVC:RUT", "1", 60),
        ("NASDAQ:AAPL", "1D", 23_399),
        ("SP:SPX", "1D", 23_999),
        ("NSE:RELIANCE", "1D", 22_499),
        ("OANDA:XAUUSD", "1D", 82_799),
        ("BINANCE:BTCUSDT", "1D", 86_400),
        ("HOSE:VCB", "60", 4499),
        ("NASDAQ:AAPL", "1W", 4 * 86_400 + 23_399),
    ],
)
def test_the_closing_time_is_stated_as_it_was_measured(
    feed: RunningFeed, symbol: str, timeframe: str, difference: int
) -> None:
    series = only(fetch(feed, symbol, timeframe, 3), "timescale_update")["p"][1]["s1"]

    assert series["lbs"]["bar_close_time"] - series["s"][-1]["v"][0] == difference


def test_the_marks_of_daily_bars_name_the_trading_day(feed: RunningFeed) -> None:
    scale = only(fetch(feed, "FX_IDC:EURUSD", "1D", 5), "timescale_update")["p"][2]

    assert [clock(mark[1]) for mark in scale["marks"]] == [
        f"{day} 00:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")
    ]
    assert clock(scale["changes"][0]) == "Sun 22:00"


def test_a_delayed_feed_names_its_delay_and_is_late(feed: RunningFeed) -> None:
    messages = fetch(feed, "LSE:VOD", "1", 3)

    assert only(messages, "symbol_resolved")["p"][2]["delay"] == 900
    assert only(messages, "series_completed")["p"][2] == "delayed_streaming_900"
    assert merged_rows(messages)[-1][0] == at("2026-11-20T14:52")


def test_adjustments_change_stocks_alone() -> None:
    def closes(symbol: str, adjustment: str) -> list[float]:
        rows = bars_for(symbol, "1D", 4000, now=NOW, adjustment=adjustment)
        return [row[4] for row in rows]

    split, raw = closes("NASDAQ:AAPL", "splits"), closes("NASDAQ:AAPL", "none")
    assert raw[0] == pytest.approx(split[0] * 28)
    assert raw[-1] == split[-1]
    assert closes("NASDAQ:AAPL", "dividends")[0] < split[0]
    assert closes("BINANCE:BTCUSDT", "dividends") == closes("BINANCE:BTCUSDT", "none")


# --- faults ---------------------------------------------------------------------------

# The result of each fault: the true bars, or bars changed by the fault's function; an error with
# this text; the end of the connection; silence; text that a strict client cannot read.
GOOD = {
    *("no_lbs", "empty_first", "empty_last", "several_updates", "du_before_completed"),
    *("heartbeat_in_data", "unordered", "study_frames", "other_sessions", "utf16_length"),
    *("critical_error_quote", "huge_message", "slow_good", "binary_message"),
}
ALTERED = {
    *("null_price", "string_price", "missing_price", "fractional_time", "mixed_volume"),
    *("seven_numbers", "inconsistent_bars", "negative_prices", "before_1970"),
    *("odd_seconds", "off_grid", "shifted_grid", "future_bars", "negative_volume", "zero_price"),
}
STRANGE_NUMBERS = {
    "nan_price": "NaN",
    "infinite_price": "Infinity",
    "sentinel_price": "1e+100",
    "sentinel_volume": "1e+100",
}
ERRORS = {
    "invalid_symbol": "invalid symbol",
    "permission_denied": "permission denied",
    "seconds_not_entitled": "seconds_not_entitled",
    "resolution_not_entitled": "resolution_not_entitled",
    "custom_resolution": "custom_resolution",
    "unsupported_resolution": "unsupported resolution",
    "critical_error": "invalid parameters",
    "bad_auth_token": "bad auth token",
    "banned": "banned",
    "banned_by_user_id": "banned by user_id",
    "banned_by_ip": "banned by ip",
    "user_connections_limit": "user connections limit reached",
    "max_state_sessions": "Max state sessions reached",
    "max_sessions_rate": "max sessions rate reached",
    "wrong_data": "wrong data",
}
CLOSED = {"close_before_completed", "close_mid_frame", "reset"}
SILENT = {"silent", "heartbeats_only", "stall_half_way", "drip"}
UNREADABLE = {
    *("length_too_long", "length_too_short", "byte_length", "not_json", "invalid_utf8"),
    "truncated_json_close",
}
SHORT = {"no_bars": 0, "short_history": 10}
# Answers with the wrong bars or instrument; tested in test_lies.py.
LIES = {
    *("shorter_bars", "longer_bars", "other_instrument", "other_instrument_later", "other_listing"),
    *("changed_after_completion", "completed_twice", "completed_again", "changed_newer_bars"),
    "crowded_message",
}
QUICK: dict[str, dict[str, Any]] = {
    "slow_good": {"seconds": 0.01},
    "huge_message": {"bytes": 1_100_000},
}


def fault_fetch(feed: RunningFeed, name: str) -> list[dict[str, Any]]:
    if name in QUICK:
        assert feed.arm(name, **QUICK[name]).ok
        return fetch(feed, "LOAD:X")
    return fetch(feed, f"FAULT:{name.upper()}")


def fault_symbol(name: str) -> str:
    return "LOAD:X" if name in QUICK else f"FAULT:{name.upper()}"


def test_every_fault_of_a_conversation_has_a_test_here() -> None:
    tested = GOOD | ALTERED | set(STRANGE_NUMBERS) | set(ERRORS) | CLOSED | SILENT
    assert (
        tested | UNREADABLE | set(SHORT) | LIES | {"drip_bytes", "endless"} == CONVERSATION_FAULTS
    )


CHANGE_ARGS: dict[str, dict[str, Any]] = {
    "split": {"ratio": 4},
    "dividend": {"share": 0.01},
    "roll": {"offset": 2.5},
    "price_revision": {"first": "2026-11-01", "last": "2026-11-02"},
    "placeholder": {"until": "2026-11-03", "bar": "2026-11-02T14:30"},
    "feed_change": {"full_name": "NASDAQ:AAPL"},
    "outage": {"until": "2026-11-03"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_armed_and_is_disarmed_by_a_reset(feed: RunningFeed, name: str) -> None:
    args = {"symbol": "NASDAQ:AAPL", "at": "2026-11-02"} | CHANGE_ARGS.get(name, {})

    armed = feed.arm(name, times=2, **(args if name in CHANGES else {})).json()["armed"]

    assert armed[0]["name"] == name
    feed.reset()
    assert feed.stats()["armed"] == []


def test_an_unknown_fault_cannot_be_armed(feed: RunningFeed) -> None:
    answer = feed.arm("no_such_fault")

    assert answer.status_code == 400
    assert "no_such_fault" in answer.json()["error"]


def test_an_armed_fault_affects_its_number_of_conversations(feed: RunningFeed) -> None:
    feed.arm("invalid_symbol", times=2)

    finals = [fetch(feed, "NASDAQ:AAPL")[-1]["m"] for _ in range(3)]
    assert finals == ["series_error", "series_error", "series_completed"]


@pytest.mark.parametrize("name", sorted(GOOD))
def test_an_unusual_answer_holds_the_true_bars(feed: RunningFeed, name: str) -> None:
    rows = merged_rows(fault_fetch(feed, name))

    assert rows == bars_for(fault_symbol(name), "60", 20, now=NOW)


@pytest.mark.parametrize("name", sorted(ALTERED))
def test_altered_bars_equal_those_of_altered_rows(feed: RunningFeed, name: str) -> None:
    rows = merged_rows(fault_fetch(feed, name))

    assert rows == altered_rows(name, bars_for(fault_symbol(name), "60", 20, now=NOW))


@pytest.mark.parametrize("name", STRANGE_NUMBERS)
def test_nan_and_infinity_are_written_without_quotes(feed: RunningFeed, name: str) -> None:
    with Chart(feed) as chart:
        chart.ask(f"FAULT:{name.upper()}")
        chart.receive()
        text = str(chart.socket.recv())

    assert re.search(rf"[\[,]{re.escape(STRANGE_NUMBERS[name])}[,\]]", text)


@pytest.mark.parametrize("name", ERRORS)
def test_a_refusal_has_tradingviews_words(feed: RunningFeed, name: str) -> None:
    assert ERRORS[name] in json.dumps(fault_fetch(feed, name)[1:])


@pytest.mark.parametrize("name", sorted(SHORT))
def test_a_short_answer_is_completed(feed: RunningFeed, name: str) -> None:
    messages = fault_fetch(feed, name)

    assert len(merged_rows(messages)) == SHORT[name]
    assert messages[-1]["m"] == "series_completed"


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_a_connection_that_is_cut_ends_before_completion(feed: RunningFeed, name: str) -> None:
    endings = (websocket.WebSocketConnectionClosedException, ConnectionResetError)
    with Chart(feed) as chart, pytest.raises(endings):
        chart.ask(f"FAULT:{name.upper()}")
        read_to_the_end(chart)

    assert "series_completed" not in json.dumps(chart.messages)


@pytest.mark.parametrize("name", ["heartbeats_only", "drip"])
def test_heartbeats_may_come_without_an_answer(beating_feed: RunningFeed, name: str) -> None:
    with Chart(beating_feed) as chart:
        chart.ask(f"FAULT:{name.upper()}")
        while len(chart.heartbeats) < 4:
            chart.receive()

    assert "series_" not in json.dumps(chart.messages)


@pytest.mark.parametrize("name", ["silent", "stall_half_way"])
def test_an_answer_may_stop_without_even_a_heartbeat(beating_feed: RunningFeed, name: str) -> None:
    with Chart(beating_feed) as chart:
        chart.ask(f"FAULT:{name.upper()}")
        chart.socket.settimeout(0.5)
        with pytest.raises(websocket.WebSocketTimeoutException):
            while not chart.heartbeats[1:]:
                chart.receive()

    assert "series_" not in json.dumps(chart.messages)


def test_bars_may_be_repeated_without_an_end(feed: RunningFeed) -> None:
    feed.arm("endless", seconds=0.02)
    with Chart(feed) as chart:
        chart.ask("NASDAQ:AAPL")
        while json.dumps(chart.messages).count("timescale_update") < 4:
            chart.receive()

    assert "series_completed" not in json.dumps(chart.messages)


def test_an_answer_may_come_byte_by_byte(feed: RunningFeed) -> None:
    feed.arm("drip_bytes", seconds=0.02)
    with Chart(feed) as chart:
        chart.receive()
        chart.ask("NASDAQ:AAPL")
        assert chart.socket.sock is not None
        pieces = [chart.socket.sock.recv(4096) for _ in range(20)]

    assert max(map(len, pieces)) < 100
    assert pieces[0][:2] == b"\x81\x7f"  # a text message with a 64-bit length


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_a_message_may_be_unreadable_for_a_strict_client(feed: RunningFeed, name: str) -> None:
    unreadable = (AssertionError, ValueError, websocket.WebSocketPayloadException)
    with pytest.raises(unreadable):
        fault_fetch(feed, name)


@pytest.mark.parametrize("status", [403, 429, 502])
def test_the_upgrade_may_be_refused(feed: RunningFeed, status: int) -> None:
    feed.arm(f"upgrade_{status}")

    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(feed.ws_url, timeout=DEADLINE_SECONDS)

    assert caught.value.status_code == status
    assert fetch(feed, "NASDAQ:AAPL")[-1]["m"] == "series_completed"


def test_the_upgrade_may_never_be_answered(feed: RunningFeed) -> None:
    feed.arm("silent_upgrade")

    with pytest.raises(websocket.WebSocketTimeoutException):
        websocket.create_connection(feed.ws_url, timeout=0.3)


def test_the_hello_may_be_late(feed: RunningFeed) -> None:
    feed.arm("hello_late", seconds=0.3)
    started_at = time.monotonic()

    assert fetch(feed, "NASDAQ:AAPL")[-1]["m"] == "series_completed"
    assert time.monotonic() - started_at >= 0.3


# --- sign-in, page, search ------------------------------------------------------------


def sign_in(
    feed: RunningFeed,
    username: str,
    *,
    headers: dict[str, str] = SITE,
    timeout_seconds: float = 5.0,
) -> requests.Response:
    form = {"username": username, "password": "secret", "remember": "on"}
    url = f"{feed.site_url}/accounts/signin/"
    return requests.post(url, data=form, headers=headers, timeout=timeout_seconds)


def test_a_sign_in_gives_an_auth_token_that_the_socket_accepts(feed: RunningFeed) -> None:
    answer = sign_in(feed, "somebody")

    assert answer.json()["error"] == ""
    assert set(answer.cookies.keys()) >= {"sessionid", "sessionid_sign", "device_t"}
    assert is_taken(feed, answer.json()["user"]["auth_token"])


def is_taken(feed: RunningFeed, token: str) -> bool:
    with Chart(feed) as chart:
        chart.send("set_auth_token", token)
        chart.ask("NASDAQ:AAPL")
        return bool(chart.until(is_final)[-1]["m"] == "series_completed")


@pytest.mark.parametrize(
    ("username", "text"),
    [
        ("captcha", "recaptcha_required"),
        ("twofactor", "2FA_required"),
        ("lockout", "locked out"),
        ("html", "CloudFront"),
        ("busy", "busy"),
        ("wrong", "error"),
    ],
)
def test_a_sign_in_may_be_refused(feed: RunningFeed, username: str, text: str) -> None:
    assert text in sign_in(feed, username).text


def test_a_sign_in_may_never_be_answered(feed: RunningFeed) -> None:
    with pytest.raises(requests.Timeout):
        sign_in(feed, "hang", timeout_seconds=0.2)


def test_a_sign_in_needs_the_referer(feed: RunningFeed) -> None:
    assert sign_in(feed, "somebody", headers={}).status_code == 403


def test_tokens_may_be_bad_or_stale(feed: RunningFeed) -> None:
    stale, fresh = (sign_in(feed, "staletoken").json()["user"]["auth_token"] for _ in range(2))

    assert not is_taken(feed, stale)
    assert is_taken(feed, fresh)
    assert not is_taken(feed, sign_in(feed, "badtoken").json()["user"]["auth_token"])


@pytest.mark.parametrize(
    ("cookies", "has_token"),
    [
        ({"sessionid": "something"}, True),
        ({"sessionid": "expired"}, False),
        ({"sessionid": "signed"}, False),
        ({"sessionid": "signed", "sessionid_sign": "v3:x"}, True),
        ({}, False),
    ],
)
def test_the_page_holds_a_token_for_good_cookies(
    feed: RunningFeed, cookies: dict[str, str], has_token: bool
) -> None:
    page = requests.get(f"{feed.site_url}/disclaimer/", cookies=cookies, timeout=5).text
    found = re.search(r'"auth_token":"([^"]+)"', page)

    assert (found is not None) == has_token
    assert ('"pro_plan":"' in page) == has_token
    assert found is None or is_taken(feed, found[1])


def search(feed: RunningFeed, path: str = "/symbol_search/v3/", **query: Any) -> requests.Response:
    return requests.get(f"{feed.search_url}{path}", params=query, headers=SITE, timeout=5)


def test_search_finds_symbols_with_an_ampersand(feed: RunningFeed) -> None:
    found = search(feed, text="M&M", hl=1).json()["symbols"]

    assert found[0]["symbol"] == "<em>M&M</em>"
    assert found[0]["exchange"] == "NSE"


def test_search_gives_fifty_at_a_time(feed: RunningFeed) -> None:
    assert len(all_instruments()) >= 120
    first, last = (search(feed, text="", start=start).json() for start in (0, 100))

    assert len(first["symbols"]) == 50
    assert first["symbols_remaining"] == 50 + len(last["symbols"])
    assert last["symbols_remaining"] == 0


def test_search_lists_the_contracts_of_futures(feed: RunningFeed) -> None:
    found, *_ = search(feed, text="ES", exchange="CME_MINI", search_type="futures").json()[
        "symbols"
    ]

    assert found["prefix"] == "CME_MINI"
    for contract in found["contracts"]:
        assert find_instrument(f"CME_MINI:{contract['symbol']}") is not None


def test_search_in_its_older_form_is_a_bare_list(feed: RunningFeed) -> None:
    (found,) = search(feed, "/symbol_search/", text="RELIANCE", exchange="NSE").json()

    assert found["symbol"] == "RELIANCE"


def test_search_may_be_refused(feed: RunningFeed) -> None:
    without_origin = requests.get(f"{feed.search_url}/symbol_search/v3/?text=A", timeout=5)

    assert without_origin.status_code == 403
    assert search(feed, text="refused").status_code == 403


# --- replay ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "symbol", "rows_file"),
    [
        (
            "krazykoder_socket.timeseries_aapl_1d_8000.txt",
            "NASDAQ:AAPL",
            "tv_aapl_1d_8000_splitadjusted.csv",
        ),
        ("tradingview-rs_events_hose_vcb.json", "HOSE:VCB", "tv_hose_vcb_1h_300.csv"),
        ("ohlcv/lean_hsi_1h_novolume.csv", "NASDAQ:AAPL", "lean_hsi_1h_novolume.csv"),
    ],
)
def test_a_replay_serves_the_recorded_numbers(file: str, symbol: str, rows_file: str) -> None:
    expected = [[value for value in row if value is not None] for row in csv_rows(rows_file)]
    with running_feed("--replay", str(recording(file))) as feed:
        messages = fetch(feed, symbol, "1D", 10_000)

    assert merged_rows(messages) == expected


def test_a_replay_resolves_to_the_recorded_facts() -> None:
    path = recording("mkt-cli_history-ok.json")
    recorded = [json.loads(one) for one in split_strictly(json.loads(path.read_text())[1])]
    with running_feed("--replay", str(path)) as feed:
        messages = fetch(feed, "NASDAQ:AAPL", "1D", 5)

    assert messages[2]["p"][2] == recorded[1]["p"][2]
    ours, theirs = messages[3]["p"][1]["s1"], recorded[2]["p"][1]["sds_1"]
    assert (ours["s"], ours["lbs"]) == (theirs["s"], theirs["lbs"])


# --- the process ----------------------------------------------------------------------


def test_the_process_ends_at_once_and_without_an_error_despite_open_connections() -> None:
    with running_feed() as feed, Chart(feed) as chart:
        chart.ask("FAULT:DRIP_BYTES")
        chart.receive()
        started_at = time.monotonic()

        assert feed.stop() == 0
        assert time.monotonic() - started_at < 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_can_be_ended_as_soon_as_it_listens(number: signal.Signals) -> None:
    with running_feed() as feed:
        assert feed.stop(number) == 0


def test_a_port_in_use_is_reported_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run_to_end("--port", port)

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert port in ended.stderr


def run_to_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samplefeed", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
    )


def test_the_faults_are_listed_and_documented() -> None:
    listed = run_to_end("--list-faults").stdout
    documented = (ROOT / "docs" / "samplefeed.md").read_text()

    for name, fault in FAULTS.items():
        assert re.search(rf"^{name} ", listed, re.MULTILINE)
        assert f"| `{name}` | {fault.level} | {fault.sentence} |" in documented


def test_the_counts_show_the_requests(feed: RunningFeed) -> None:
    fetch(feed, {"symbol": "NASDAQ:AAPL", "adjustment": "splits", "session": "regular"})
    search(feed, text="A")
    sign_in(feed, "somebody")

    stats = feed.stats()
    assert stats["conversations"] == 1
    assert stats["symbols"] == {"NASDAQ:AAPL": 1}
    assert abs(stats["create_series_at"][0] - time.time()) < DEADLINE_SECONDS
    assert stats["resolve_payloads"][0]["session"] == "regular"
    assert (stats["searches"], stats["sign_ins"]) == (1, 1)
    assert stats["tokens"] == ["unauthorized_user_token"]
