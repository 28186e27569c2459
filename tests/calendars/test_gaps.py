"""The gap report: which bars are missing, and how that is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.bars import BarLength
from datasets.calendars import Calendar, find_windows
from datasets.calendars.expected_bars import expected_bars, held_bars
from datasets.calendars.gap_findings import Finding, GapReport, Kind
from datasets.calendars.gaps import find_gaps
from datasets.calendars.opinions import MARKETS, find_market, second_opinion
from datasets.tradingview.resolved_symbol import read_instrument
from tests.support.recordings import csv_rows, messages_of_list, recording

MINUTE, HOUR, DAY = BarLength(1, "m"), BarLength(60, "m"), BarLength(1, "D")
CRYPTO = Calendar("24x7", "Etc/UTC")
NEW_YORK = Calendar("0930-1600", "America/New_York")
TOKYO = Calendar("0900-1530", "Asia/Tokyo", "0900-1130,1230-1530")
HONG_KONG = Calendar("0930-1200A0900E0920-1206U1300-1600E1300-1611", "Asia/Hong_Kong")
START = 1_736_121_600_000  # 2025-01-06T00:00Z, a Monday
DAY_MS = 86_400_000


def expect(calendar: Calendar, length: BarLength, n_days: int) -> npt.NDArray[np.int64]:
    return expected_bars(calendar, length, START, START + n_days * DAY_MS).opens


def without(times: npt.NDArray[np.int64], *dropped: int) -> npt.NDArray[np.int64]:
    return np.delete(times, dropped)


def recorded_times(name: str) -> npt.NDArray[np.int64]:
    return np.array([int(row[0] or 0) * 1000 for row in csv_rows(name)], dtype=np.int64)


def ranges(report: GapReport) -> list[tuple[int, int]]:
    return [
        (int(one.start.timestamp() * 1000), int(one.end.timestamp() * 1000))
        for one in report.findings
    ]


# --- expected bars ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "length", "zone", "opens"),
    [
        (NEW_YORK, HOUR, "America/New_York", ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]),
        (TOKYO, HOUR, "Asia/Tokyo", ["09:00", "10:00", "11:00", "12:30", "13:00", "14:00", "15:00"]),
        (HONG_KONG, HOUR, "Asia/Hong_Kong", ["09:30", "10:00", "11:00", "13:00", "14:00", "15:00"]),
        (HONG_KONG, BarLength(240, "m"), "Asia/Hong_Kong", ["09:30", "13:00"]),
        (NEW_YORK, DAY, "America/New_York", ["09:30"]),
    ],
)  # fmt: skip
def test_the_bars_of_a_day_lie_on_one_grid(
    calendar: Calendar, length: BarLength, zone: str, opens: list[str]
) -> None:
    found = pd.DatetimeIndex(expect(calendar, length, 1).view("M8[ms]"), tz="UTC").tz_convert(zone)

    assert found.strftime("%H:%M").tolist() == opens


@given(
    st.sampled_from(
        [CRYPTO, NEW_YORK, TOKYO, HONG_KONG, Calendar("1800-1700", "America/New_York")]
    ),
    st.sampled_from([5, 15, 45, 60, 240]),
    st.integers(1, 40),
)
def test_expected_bars_are_those_that_shorter_bars_add_up_to(
    calendar: Calendar, minutes: int, n_days: int
) -> None:
    length = BarLength(minutes, "m")
    expected = expect(calendar, length, n_days)
    minute_bars = expect(calendar, MINUTE, n_days)

    windows = find_windows(minute_bars, MINUTE, length, calendar)

    # The range can begin within a bar.
    whole = windows.opens[1:]
    assert whole.tolist() == expected[len(expected) - len(whole) :].tolist()
    held, outside = held_bars(expected, expected_bars(calendar, length, START, START + n_days * DAY_MS), calendar, length)  # fmt: skip
    assert held.all()
    assert outside == 0


def test_weeks_and_months_are_expected_where_they_have_a_session() -> None:
    weeks, months = (
        expect(NEW_YORK, BarLength(1, "W"), 28),
        expect(NEW_YORK, BarLength(1, "M"), 365),
    )

    assert len(weeks) == 4
    assert len(months) == 12


# --- findings -----------------------------------------------------------------------------


def test_a_series_with_all_bars_has_no_finding() -> None:
    for calendar, length in [(CRYPTO, HOUR), (NEW_YORK, MINUTE), (NEW_YORK, DAY), (TOKYO, HOUR)]:
        times = expect(calendar, length, 90)

        report = find_gaps(times, calendar, length)

        assert report.findings == ()
        assert report.held == report.expected == len(times)
        assert report.share_held == 1.0


def test_a_minute_without_trade_is_no_hole() -> None:
    times = expect(NEW_YORK, MINUTE, 60)

    report = find_gaps(without(times, 5000), NEW_YORK, MINUTE)

    assert report.findings == ()
    assert report.quiet == 1
    assert report.share_held == 1.0


def test_a_row_of_minutes_that_always_have_trade_is_a_hole() -> None:
    times = expect(NEW_YORK, MINUTE, 90)

    report = find_gaps(without(times, *range(5000, 5020)), NEW_YORK, MINUTE)

    (hole,) = report.findings
    assert (hole.kind, hole.n_bars) == (Kind.HOLE, 20)
    assert ranges(report) == [(int(times[5000]), int(times[5020]))]
    assert report.largest == hole
    assert report.as_dict()["counts"] == {"hole": 20}


@pytest.mark.parametrize(("share", "n_missing", "is_hole"), [(0.9, 4, False), (0.9, 12, True), (0.3, 20, False), (0.3, 90, True)])  # fmt: skip
def test_the_less_trade_the_longer_the_run_that_is_a_hole(
    share: float, n_missing: int, is_hole: bool
) -> None:
    times = expect(NEW_YORK, MINUTE, 100)
    has_trade = np.random.default_rng(7).random(len(times)) < share
    # A run in the middle of a session.
    has_trade[50 * 390 + 100 : 50 * 390 + 100 + n_missing] = False

    report = find_gaps(times[has_trade], NEW_YORK, MINUTE)

    assert [one.kind for one in report.findings] == [Kind.HOLE] * is_hole


def test_a_time_of_the_day_without_trade_is_a_learned_break() -> None:
    calendar = Calendar("0900-1500", "Asia/Ho_Chi_Minh")
    times = expect(calendar, HOUR, 90)
    morning_and_afternoon = times[(times // 3_600_000) % 24 != 5]

    report = find_gaps(morning_and_afternoon, calendar, HOUR)

    assert report.findings == ()
    assert report.breaks == len(times) - len(morning_and_afternoon)


def test_a_day_without_a_bar_is_missing_where_the_market_is_always_open() -> None:
    times = expect(CRYPTO, HOUR, 30)

    report = find_gaps(without(times, *range(240, 288)), CRYPTO, HOUR)

    (missing,) = report.findings
    assert (missing.kind, missing.n_bars, missing.n_sessions) == (Kind.SESSION_MISSING, 48, 2)
    assert missing.start == datetime(2025, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("holidays", "kinds"),
    [
        # 2025-01-09 was a day of mourning; 2025-01-10 was a session.
        ("20240101,20251225", [Kind.UNSURE, Kind.SESSION_MISSING]),
        # Where the feed's list does not reach, the second calendar decides.
        ("", [Kind.SESSION_MISSING]),
    ],
)
def test_two_calendars_judge_a_session_without_a_bar(holidays: str, kinds: list[Kind]) -> None:
    calendar = Calendar("0930-1600", "America/New_York", holidays=holidays)
    times = without(expect(calendar, DAY, 30), 3, 4)

    report = find_gaps(times, calendar, DAY, opinion=second_opinion("XNYS", 2020))

    assert [one.kind for one in report.findings] == kinds
    assert "exchange_calendars (XNYS) has one as well" in report.findings[-1].reason
    if holidays:
        assert "exchange_calendars (XNYS) has none" in report.findings[0].reason
    alone = find_gaps(times, calendar, DAY)
    assert {one.kind for one in alone.findings} == {Kind.UNSURE}
    assert "there is no second opinion" in alone.findings[0].reason


def test_a_correction_that_cannot_be_read_is_named_in_the_reason() -> None:
    calendar = Calendar("0930-1600", "America/New_York", corrections="??:20250109")

    (missing,) = find_gaps(without(expect(calendar, DAY, 30), 3), calendar, DAY).findings

    assert "a part of its corrections cannot be read" in missing.reason


def test_an_early_close_that_only_one_calendar_has_is_unsure() -> None:
    # 2025-07-03 closed at 13:00; this feed does not say so.
    calendar = Calendar("0930-1600", "America/New_York", holidays="20250101,20251225")
    start = 1_748_736_000_000  # 2025-06-01
    times = expected_bars(calendar, HOUR, start, start + 60 * DAY_MS).opens
    closed = 1_751_562_000_000  # 2025-07-03T17:00Z
    is_late = (times >= closed) & (times < closed + 4 * 3_600_000)

    report = find_gaps(times[~is_late], calendar, HOUR, opinion=second_opinion("XNYS", 2020))

    (late,) = [one for one in report.findings if one.start.day == 3]
    assert late.kind is Kind.UNSURE
    assert "a session from 13:30 to 17:00 UTC" in late.reason


def test_what_is_empty_at_a_second_look_is_confirmed() -> None:
    times = without(expect(CRYPTO, HOUR, 60), *range(100, 110))
    first = find_gaps(times, CRYPTO, HOUR)

    second = find_gaps(times, CRYPTO, HOUR, looked_at=ranges(first))

    assert [one.kind for one in first.findings] == [Kind.HOLE]
    assert [one.kind for one in second.findings] == [Kind.CONFIRMED_EMPTY]
    assert second.findings[0].reason.endswith("It was fetched again and is still empty.")


def test_weeks_without_a_bar_at_a_second_look_are_a_suspension() -> None:
    times = without(expect(NEW_YORK, DAY, 365), *range(100, 120))
    opinion = second_opinion("XNYS", 2020)
    first = find_gaps(times, NEW_YORK, DAY, opinion=opinion)

    second = find_gaps(times, NEW_YORK, DAY, opinion=opinion, looked_at=ranges(first))

    longest = second.largest
    assert longest is not None
    assert longest.kind is Kind.NO_TRADING


def test_bars_between_two_windows_were_never_received() -> None:
    times = without(expect(CRYPTO, HOUR, 60), *range(300, 400))
    seam = (int(times[299]), int(times[300]))

    report = find_gaps(times, CRYPTO, HOUR, seams=[seam])

    assert {one.kind for one in report.findings} == {Kind.WINDOW_SLID}
    assert report.missing == 100


def test_an_instrument_that_skips_days_is_not_missing_them() -> None:
    times = expect(NEW_YORK, DAY, 700)
    has_trade = np.random.default_rng(3).random(len(times)) < 0.6

    report = find_gaps(times[has_trade], NEW_YORK, DAY, opinion=second_opinion("XNYS", 2020))

    assert report.findings == ()
    assert report.quiet > 100


def test_unknown_hours_give_no_report_and_the_reason() -> None:
    report = find_gaps(np.array([START]), Calendar("??", "UTC"), HOUR)

    assert report.why_unknown == "The trading hours '??' are in no known form."
    assert report.findings == ()
    assert report.as_dict()["share_held"] == 1.0


# --- recordings ---------------------------------------------------------------------------


def aapl() -> Calendar:
    text = b"".join(messages_of_list("mkt-cli_history-ok.json")).decode()
    start = text.index('{"m":"symbol_resolved"')
    facts = json.JSONDecoder().raw_decode(text, start)[0]["p"][2]
    return Calendar.of(read_instrument(facts).as_dict())


def kinds_of(report: GapReport) -> dict[Any, list[Finding]]:
    return {kind: [one for one in report.findings if one.kind is kind] for kind in Kind}


def test_8000_recorded_days_miss_no_session_that_both_calendars_have() -> None:
    report = find_gaps(
        recorded_times("tv_aapl_1d_8000_splitadjusted.csv"),
        aapl(),
        DAY,
        opinion=second_opinion("XNYS", 1992),
    )

    found = kinds_of(report)
    # Days of mourning, September 2001, and a hurricane: the feed's list does not have them.
    days = [f"{one.start:%Y-%m-%d} {one.n_sessions}" for one in found[Kind.UNSURE]]
    assert days == ["2001-09-11 4", "2012-10-29 2", "2018-12-05 1"]
    assert report.missing == 7
    assert report.held == 8000


def test_the_recorded_hours_of_hose_have_one_hole_and_a_saturday() -> None:
    events = json.loads(recording("tradingview-rs_events_hose_vcb.json").read_text())
    facts = next(one["p"][2] for one in events if one.get("m") == "symbol_resolved")
    calendar = Calendar.of(read_instrument(facts).as_dict())

    report = find_gaps(recorded_times("tv_hose_vcb_1h_300.csv"), calendar, HOUR)

    hole, saturday = report.findings
    assert (hole.kind, hole.start) == (Kind.HOLE, datetime(2025, 4, 10, 4, tzinfo=UTC))
    assert (saturday.kind, f"{saturday.start:%A %Y-%m-%d}") == (Kind.UNSURE, "Saturday 2025-04-26")
    assert report.breaks == 60


def test_recorded_gold_has_every_day() -> None:
    calendar = Calendar("1800-1700", "America/New_York")

    report = find_gaps(recorded_times("tv_xauusd_1d_10.csv"), calendar, DAY)

    assert (report.held, report.expected, report.findings) == (10, 10, ())


# --- the second calendar ------------------------------------------------------------------


def test_futures_currencies_and_crypto_have_the_feeds_calendar_only() -> None:
    assert find_market("NASDAQ", "stock") == find_market("AMEX", "fund") == "XNYS"
    assert find_market("NSE", "futures") is None
    assert find_market("BINANCE", "spot") is None
    assert find_market("CME_MINI", "futures") is None
    assert find_market("HOSE", "stock") is None


@pytest.mark.slow
@pytest.mark.parametrize("market", sorted(set(MARKETS.values())))
def test_each_market_is_one_of_the_library(market: str) -> None:
    opinion = second_opinion(market, 2015)

    assert opinion is not None
    assert opinion.first_date <= 19_000
    assert (opinion.closes > opinion.opens).all()
