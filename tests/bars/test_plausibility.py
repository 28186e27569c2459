"""What is refused, what is doubted, and above all what is right and must be neither."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from datasets.bars import FetchedBars, Instrument, Session, Timeframe, plausibility
from datasets.errors import BarsChanged, WrongBars
from datasets.tradingview.conversation import SERIES_ID, SYMBOL_ID, Conversation
from datasets.tradingview.resolved_symbol import is_doubtful
from tests.support.factories import a_key
from tests.support.recordings import case, recording, spread_payloads
from tests.support.socket_feed import CHART, bar, completed, loading, update

# --- hours of real markets, of which no bar may be doubted -----------------------------------

NEW_YORK, SHANGHAI = "America/New_York", "Asia/Shanghai"


def days_at(zone: str, *openings: str, n_days: int = 400) -> list[float]:
    """Return UNIX seconds of bars that open at these times of each weekday."""
    found = []
    for number in range(n_days):
        day = datetime(2024, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(days=number)
        if day.weekday() < 5:
            found += [
                day.replace(hour=int(text[:2]), minute=int(text[3:])).timestamp()
                for text in openings
            ]
    return found


def doubts_of(times: list[float], timeframe: str, **facts: Any) -> dict[str, int]:
    instrument = Instrument(**facts)
    parsed, array = Timeframe.parse(timeframe), np.array(times, dtype=np.float64)
    found = {
        "spacing": plausibility.check_spacing(array, parsed, instrument, close_time=None),
        "off_grid": plausibility.count_off_grid(array, parsed, instrument, Session.REGULAR),
    }
    return {code: number for code, number in found.items() if number}


US_EXTENDED = ["04:00", "08:00", "09:30", "13:30", "16:00"]
REAL = [
    # HKEX: a bar that ends where the morning's first hour does.
    ("1h", "Asia/Hong_Kong", ["09:30", "10:00", "11:00", "13:00", "14:00", "15:00"], "0930-1200,1300-1600"),
    ("4h", "Asia/Hong_Kong", ["09:30", "13:00"], "0930-1200,1300-1600"),
    ("4h", NEW_YORK, US_EXTENDED, "0930-1600"),
    ("2h", NEW_YORK, ["04:00", "06:00", "08:00", "09:30", "11:30", "13:30", "15:30", "16:00", "18:00"], ""),
    ("4h", SHANGHAI, ["09:00", "10:30", "13:30"], "0900-1015,1030-1130,1330-1500"),
    ("1h", SHANGHAI, ["09:00", "10:00", "11:00", "13:30", "14:30"], "2100-0230,0900-1015,1030-1130,1330-1500"),
    ("45", "Asia/Tokyo", ["09:00", "09:45", "10:30", "11:15", "12:30", "13:15", "14:00", "14:45"], "0900-1130,1230-1530"),
    ("15", "Asia/Kolkata", ["09:15", "09:30", "09:45", "15:15"], "0915-1530"),
    # Open for less than four hours a day.
    ("4h", "Asia/Kuwait", ["09:00"], "0900-1240"),
    ("1D", NEW_YORK, ["09:30"], "0930-1600"),
    ("1D", "Asia/Shanghai", ["21:00"], "2100-0230,0900-1015,1030-1130,1330-1500"),
]  # fmt: skip


@pytest.mark.parametrize(("timeframe", "zone", "openings", "hours"), REAL)
def test_the_hours_of_real_markets_are_no_doubt(
    timeframe: str, zone: str, openings: list[str], hours: str
) -> None:
    times = days_at(zone, *openings)

    for n_bars in (2, 3, 5, 12, 250):
        for end in range(n_bars, n_bars + 9):
            chosen = times[:end][-n_bars:]
            assert doubts_of(chosen, timeframe, timezone=zone, session_hours=hours) == {}


@pytest.mark.parametrize("timeframe", ["1", "5", "1h", "4h"])
@pytest.mark.parametrize("share", [0.5, 0.05, 0.002])
def test_an_illiquid_series_is_no_doubt(timeframe: str, share: float) -> None:
    length = (Timeframe.parse(timeframe).minutes or 0) * 60
    chance = np.random.default_rng(7).random(200_000 if share < 0.01 else 20_000)
    times = (np.flatnonzero(chance < share) * length).astype(float).tolist()

    assert doubts_of(times[:300], timeframe, session_hours="24x7", timezone="Etc/UTC") == {}


def test_weeks_of_holidays_a_late_listing_and_a_closed_month_are_no_doubt() -> None:
    def opened(*days: str) -> list[float]:
        return [datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in days]

    # Moscow was closed until 2022-03-24; the listing began two days before its second month.
    months = opened("2021-10-29", "2021-11-01", "2021-12-01", "2022-01-03", "2022-02-01", "2022-03-24",
                    "2022-04-01", "2022-05-04")  # fmt: skip
    weeks = opened(
        "2024-09-23", "2024-09-30", "2024-10-08", "2024-10-14", "2024-10-18", "2024-10-21"
    )

    assert doubts_of(months, "1M") == {}
    assert doubts_of(weeks, "1W") == {}


def test_a_statistic_that_is_published_weekly_is_no_doubt_and_another_series_is() -> None:
    weeks = [1_700_000_000.0 + 604_800 * number for number in range(50)]

    assert doubts_of(weeks, "1D", type="economic") == {}
    assert doubts_of(weeks, "1D", type="stock") == {"spacing": 50}


@pytest.mark.parametrize(
    ("asked", "minutes"),
    [("5", 1), ("5", 3), ("15", 5), ("45", 30), ("1h", 15), ("1h", 30), ("1h", 45), ("2h", 60), ("4h", 120), ("4h", 180)],
)  # fmt: skip
def test_bars_that_are_shorter_than_asked_are_refused(asked: str, minutes: int) -> None:
    times = [1_700_000_000.0 + minutes * 60 * number for number in range(20)]

    with pytest.raises(
        WrongBars, match=f"bars of {asked} and answered with bars of another length"
    ):
        doubts_of(times, asked)


def test_a_clock_of_ours_that_is_wrong_refuses_nothing_and_is_named() -> None:
    times, now = np.array([1_700_000_000.0]), 1_700_000_100.0
    three_hours = 3 * 3600

    def late(**clocks: float) -> int:
        return plausibility.check_clock(times, Timeframe.HOUR_1, **clocks)

    assert late(feed_now=now, own_now=now) == 0
    assert late(feed_now=now, own_now=now - three_hours) == 1
    assert late(feed_now=now - three_hours, own_now=now) == 0
    assert late(feed_now=now - 350, own_now=now - 350) == 0
    with pytest.raises(WrongBars, match="Set this machine's clock if it is wrong"):
        late(feed_now=now - three_hours, own_now=now - three_hours)


# --- prices of zero ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closes", "number"),
    [
        ([50.0, 0.0, 51.0], 1),
        ([0.0, 50.0, 51.0], 1),
        ([20.0, 10.0, 0.0, -37.6, 10.0], 0),  # oil in April 2020
        ([-0.2, -0.1, 0.0, 0.1], 0),  # a yield
        ([1.0, 0.5, 0.004, 0.0, 0.004, 1.0], 0),  # a rate that comes near
        ([0.0, 0.0, 0.0], 0),
        ([50.0, 51.0], 0),
    ],
)
def test_a_price_of_zero_is_a_doubt_where_the_prices_around_it_are_far(
    closes: list[float], number: int
) -> None:
    prices = np.repeat(np.array(closes)[:, None], 4, axis=1)

    assert plausibility.count_zero_prices(prices, Instrument()) == number
    assert plausibility.count_zero_prices(prices, Instrument(type="economic")) == 0


# --- which instrument -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        ("NASDAQ:AAPL", {"pro_name": "NASDAQ:AAPL", "full_name": "BATS:AAPL", "exchange": "Cboe One"}),
        ("HOSE:VCB", {"pro_name": "HOSE:VCB", "full_name": "HOSE_DLY:VCB"}),
        ("BATS:SPY", {"pro_name": "AMEX:SPY", "full_name": "BATS:SPY"}),
        ("CME_MINI:ES1!", {"pro_name": "CME_MINI:ES1!", "full_name": "CME_MINI_DL:ES1!"}),
        ("CME_MINI:ES1!", {"pro_name": "CME_MINI:ESZ2026", "full_name": "CME_MINI_DL:ESZ2026"}),
        ("CME:ES1!", {"pro_name": "CME_MINI:ES1!"}),
        ("NSE:M&M", {"pro_name": "NSE:M_M"}),
        ("NYSE:BRK.B", {"pro_name": "NYSE:BRK.B", "full_name": "BATS:BRK.B"}),
        ("BINANCE:BTCUSDT.P", {"pro_name": "BINANCE:BTCUSDT.P"}),
        ("BINANCE:币安人生USDT.P", {"pro_name": "BINANCE:币安人生USDT.P"}),
        ("FX_IDC:EURUSD", {"pro_name": "FX_IDC:EURUSD"}),
        ("NASDAQ:FB", {"pro_name": "NASDAQ:META", "aliases": ["NASDAQ:FB"]}),
        ("NASDAQ:AAPL", {"pro_name": "={\"symbol\":\"NASDAQ:AAPL\"}", "full_name": "NASDAQ:AAPL"}),
        ("BINANCE:BTCUSDT/BINANCE:ETHUSDT", {"pro_name": "BINANCE:BTCUSDT / BINANCE:ETHUSDT"}),
        ("BINANCE:BTCUSDT", {"description": "Bitcoin"}),
        ("BINANCE:BTCUSDT", {}),
        ("BINANCE:BTCUSDT", {"pro_name": None, "aliases": 7, "legs": [None, 1]}),
    ],
)  # fmt: skip
def test_another_way_to_name_the_instrument_is_no_doubt(asked: str, facts: dict[str, Any]) -> None:
    assert is_doubtful(asked, facts) is False


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        ("LSE:VOD", {"pro_name": "NASDAQ:VOD", "full_name": "BATS:VOD"}),
        ("BINANCE:BTCUSDT", {"full_name": "BYBIT:BTCUSDT"}),
        ("BINANCE:BTCUSDT/BINANCE:ETHUSDT", {"pro_name": "BINANCE:BTCUSDT"}),
    ],
)
def test_another_listing_of_the_symbol_is_a_doubt(asked: str, facts: dict[str, Any]) -> None:
    assert is_doubtful(asked, facts) is True


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [("BINANCE:BTCUSDT", "BINANCE:ETHUSDT"), ("BINANCE:BTCUSDT.P", "BINANCE:BTCUSDT"), ("NASDAQ:FB", "NASDAQ:META"),
     ("CME_MINI:ES1!", "CME_MINI:NQZ2026"), ("CME_MINI:ES1!", "CME_MINI:ES2!")],
)  # fmt: skip
def test_another_symbol_is_refused_and_named(asked: str, resolved: str) -> None:
    # Whatever the other names say.
    facts = {"pro_name": resolved, "full_name": asked, "name": asked.partition(":")[2]}

    with pytest.raises(WrongBars, match=f"another instrument, {resolved}"):
        is_doubtful(asked, facts)


# --- what comes after the end -----------------------------------------------------------------


def talk_of_half() -> Conversation:
    """Return a conversation that has got half of what it asked for."""
    talk = Conversation(a_key(n_bars=20, timeframe="1"), CHART)
    talk.handle(update([bar(60 * number) for number in range(10, 20)]))
    talk.handle(completed())
    talk.start_older()
    talk.handle(loading())
    return talk


def test_older_bars_may_overlap_and_the_newest_may_change() -> None:
    talk = talk_of_half()
    talk.handle(update([bar(60 * number) for number in range(14)]))
    # The oldest of the first answer may have been the cut half of a bar, the newest two still change.
    talk.handle(update([bar(600, price=9.0), bar(60 * 18, price=9.0), bar(60 * 19, price=9.0)]))
    talk.handle(update([bar(60 * 20, price=9.0)], "du"))
    talk.handle(completed())

    fetched = talk.result()
    assert (fetched.table.num_rows, fetched.doubts) == (20, {})


@pytest.mark.parametrize(
    "wrong", [bar(60 * 14, price=11.0), bar(60 * 14, volume=None), bar(60 * 14 + 30)]
)
def test_a_reply_with_older_bars_may_not_change_newer_bars(wrong: list[float]) -> None:
    with pytest.raises(BarsChanged, match="changed 1 newer bars"):
        talk_of_half().handle(update([bar(0), bar(60), wrong]))


def test_an_end_that_nothing_announced_is_asked_again_and_believed_the_second_time() -> None:
    talk = talk_of_half()
    talk.handle(update([bar(540)]))
    talk.handle(completed())
    talk.start_older()

    talk.handle(completed())
    assert talk.n_missing() == 9
    talk.start_older()
    talk.handle(completed())

    assert talk.n_missing() == 0
    assert talk.result().doubts == {}


# --- every recording --------------------------------------------------------------------------


def _iso(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _of_new_york(text: str) -> float:
    return datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=ZoneInfo(NEW_YORK)).timestamp()


# file, timeframe, how its times are read, doubts that its source has earned
CSV: list[tuple[str, str, Callable[[str], float], dict[str, int]]] = [
    ("lean_aapl_1d_raw_unadjusted", "1D", float, {}),
    ("lean_btcusd_bitfinex_1h_2013-10", "1h", float, {}),
    ("lean_btcusd_coinbase_1d", "1D", float, {}),
    ("lean_btcusdt_binance_1h", "1h", float, {}),
    ("lean_cccl_nse_1d", "1D", float, {}),
    ("lean_eurusd_oanda_1d_bid_novolume", "1D", float, {}),
    ("lean_eurusd_oanda_1h_bid_2018_novolume", "1h", float, {}),
    ("lean_hsi_1h_novolume", "1h", float, {}),
    ("lean_xauusd_oanda_1d_bid_novolume", "1D", float, {}),
    ("mpf_SP500_NOV2019_1m", "1", _of_new_york, {}),
    ("tv_aapl_1d_8000_splitadjusted", "1D", float, {}),
    ("tv_hose_vcb_1h_300", "1h", float, {}),
    ("tv_xauusd_1d_10", "1D", float, {}),
    ("yf_4063-T-1d-bad-stock-split-fixed", "1D", _iso, {}),
    ("yf_ALPHA-PA-1d-bad-stock-split", "1D", _iso, {}),
    ("yf_AV-L-1wk-bad-stock-split-fixed", "1W", _iso, {}),
    ("yf_CALM-1d-no-bad-divs", "1D", _iso, {}),
    ("yf_EA-15m-no-bad-divs", "15", _iso, {}),
    ("yf_SSW-JO-1d-100x-error", "1D", _iso, {}),
]


@pytest.mark.parametrize(
    ("name", "timeframe", "read_time", "doubts"), CSV, ids=[one[0] for one in CSV]
)
def test_recorded_bars_are_neither_refused_nor_changed(
    name: str, timeframe: str, read_time: Callable[[str], float], doubts: dict[str, int]
) -> None:
    with recording(f"ohlcv/{name}.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = {column.lower(): column for column in lines[0]}
    first = next(iter(lines[0]))
    rows = [
        [read_time(line[first]), *(_number(line[names[column]]) for column in ("open", "high", "low", "close", "volume"))]
        for line in lines
    ]  # fmt: skip

    talk = Conversation(a_key(n_bars=len(rows), timeframe=timeframe), CHART)
    talk.handle(update([[number for number in row if number is not None] for row in rows]))
    talk.handle(completed())

    fetched = talk.result()
    # Two of the files have the newest bar first.
    assert cells(fetched) == sorted(rows, key=lambda row: row[0] or 0.0)
    assert fetched.doubts == doubts


def _number(text: str) -> float | None:
    return float(text) if text else None


def cells(fetched: FetchedBars) -> list[list[float | None]]:
    names = ("open", "high", "low", "close", "volume")
    return [
        [row["time"].timestamp(), *(row[name] for name in names)]
        for row in fetched.table.to_pylist()
    ]


FRAMES = [
    ("krazykoder_socket.timeseries_aapl_1d_8000.txt", "NASDAQ:AAPL", "1D"),
    ("mkt-cli_history-ok.json", "NASDAQ:AAPL", "1D"),
    ("mkt-cli_history-heartbeat-batched.json", "NASDAQ:AAPL", "1D"),
    ("tradingview-rs_events_hose_vcb.json", "HOSE:VCB", "1h"),
    ("before_split@1D.json", "NASDAQ:AAPLX", "1D"),
    ("after_split@1D.json", "NASDAQ:AAPLX", "1D"),
    ("nifty_muhurat@1D.json", "NSE:NIFTY", "1D"),
    ("nifty_muhurat@60.json", "NSE:NIFTY", "1h"),
    ("shfe_au@1D.json", "SHFE:AU1!", "1D"),
    ("shfe_au@60.json", "SHFE:AU1!", "1h"),
    ("bianrensheng@60.json", "BINANCE:币安人生USDT.P", "1h"),
]


@pytest.mark.parametrize(("name", "symbol", "timeframe"), FRAMES, ids=[one[0] for one in FRAMES])
def test_recorded_messages_with_their_own_facts_are_neither_refused_nor_doubted(
    name: str, symbol: str, timeframe: str
) -> None:
    talk = Conversation(a_key(exchange="", symbol=symbol, timeframe=timeframe, n_bars=8000), CHART)
    sent: dict[float, list[float]] = {}
    for message in _messages(name):
        parameters = message.get("p") or [""]
        if message.get("m") == "symbol_resolved":
            talk.handle(message | {"p": [CHART, SYMBOL_ID, parameters[2]]})
        elif message.get("m") in ("timescale_update", "du"):
            for series in parameters[1].values():
                talk.handle(message | {"p": [CHART, {SERIES_ID: series}]})
                sent |= {one["v"][0]: one["v"] for one in series.get("s", [])}
    talk.handle(completed())

    fetched = talk.result()
    assert cells(fetched) == [sent[time] for time in sorted(sent)]
    assert fetched.doubts == {}


def _messages(name: str) -> list[dict[str, Any]]:
    if "@" in name:
        found: list[dict[str, Any]] = json.loads(case(name).read_text())
        return found
    if name.startswith("tradingview-rs"):
        found = json.loads(recording(name).read_text())
        return found
    if name.endswith(".txt"):
        return spread_payloads(name)
    texts = json.loads(recording(name).read_text())
    return [json.loads(part) for text in texts for part in _payloads(text)]


def _payloads(text: str) -> list[str]:
    from datasets.tradingview import frames

    payloads = frames.split_message(text.encode())
    return [one.decode() for one in payloads if not one.startswith(frames.HEARTBEAT)]
