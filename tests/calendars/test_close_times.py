"""When a bar closes: never before it did, and not later than can be proved."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.calendars import Calendar, Clock, close_instants, is_spread_out
from datasets.calendars.zones import parse_zone, to_wall
from datasets.errors import InvalidRequest
from datasets.research import align, close_times, load
from datasets.research.dataframes import clock_in, index_ms
from tests.support.factories import bars_table
from tests.support.study_files import NOW, write, write_sample

NEW_YORK, TOKYO, UTC_ZONE = "America/New_York", "Asia/Tokyo", "Etc/UTC"


@pytest.mark.parametrize(
    ("timeframe", "hours", "zone", "opens", "following", "closes"),
    [
        ("1h", "24x7", UTC_ZONE, "2025-01-01T00:00", None, "2025-01-01T01:00"),
        ("1D", "24x7", UTC_ZONE, "2025-01-01T00:00", None, "2025-01-02T00:00"),
        # The last hour of New York is half an hour, and 4h end with the day.
        ("1h", "0930-1600", NEW_YORK, "2025-01-02T20:30", None, "2025-01-02T21:00"),
        ("4h", "0930-1600", NEW_YORK, "2025-07-02T17:30", None, "2025-07-02T20:00"),
        ("1h", "0930-1600", NEW_YORK, "2025-01-02T14:30", None, "2025-01-02T15:30"),
        # A day closes with its session, in winter and in summer, also on a half holiday.
        ("1D", "0930-1600", NEW_YORK, "2025-01-02T14:30", None, "2025-01-02T21:00"),
        ("1D", "0930-1600", NEW_YORK, "2025-07-03T13:30", None, "2025-07-03T20:00"),
        ("1D", "0900-1130,1230-1530", TOKYO, "2025-01-06T00:00", None, "2025-01-06T06:30"),
        # By other hours than today's, nothing is known but the next bar.
        ("1D", "0930-1600", NEW_YORK, "2025-01-02T09:00", "2025-01-03T09:00", "2025-01-03T09:00"),
        ("1D", "0930-1600", NEW_YORK, "2025-01-02T09:00", None, "2025-01-16T09:00"),
        ("1h", "0930-1600", NEW_YORK, "2025-01-02T22:00", None, "2025-01-02T23:00"),
        # Before the break nothing is cut off: a bar that runs into it may go on after it.
        ("1h", "0900-1130,1230-1530", TOKYO, "2025-01-06T01:00", None, "2025-01-06T02:00"),
        ("1h", "0900-1130,1230-1530", TOKYO, "2025-01-06T02:00", "2025-01-06T03:30", "2025-01-06T03:30"),
        ("1h", "0900-1130,1230-1530", TOKYO, "2025-01-06T02:00", None, "2025-01-06T06:30"),
        ("1h", "0900-1130,1230-1530", TOKYO, "2025-01-06T06:00", None, "2025-01-06T06:30"),
        # Before Thanksgiving a future's day is two days long (recorded: CME_MINI:NQZ2024).
        ("1D", "1800-1700", NEW_YORK, "2024-11-27T23:00", "2024-12-01T23:00", "2024-12-01T23:00"),
        ("1D", "1800-1700", NEW_YORK, "2024-11-25T23:00", "2024-11-26T23:00", "2024-11-26T23:00"),
        # In Osaka the day, week and month of 2019-05-07 began on the evening of 04-26.
        ("1D", "1630-0530,0845-1515", TOKYO, "2019-04-26T07:30", "2019-05-07T07:30", "2019-05-07T07:30"),
        ("1D", "1630-0530,0845-1515", TOKYO, "2019-04-26T07:30", None, "2019-05-10T07:30"),
        ("1W", "1630-0530,0845-1515", TOKYO, "2019-04-26T07:30", None, "2019-05-16T07:30"),
        ("4h", "1800-1700", NEW_YORK, "2024-11-26T19:00", None, "2024-11-26T22:00"),
        # Weeks and months: the close of their last session.
        ("1W", "0930-1600", NEW_YORK, "2025-01-06T14:30", "2025-01-13T14:30", "2025-01-10T21:00"),
        ("1W", "0930-1600", NEW_YORK, "2025-01-21T14:30", "2025-01-27T14:30", "2025-01-24T21:00"),
        ("1W", "24x7", UTC_ZONE, "2025-01-06T00:00", None, "2025-01-13T00:00"),
        ("1W", "0930-1600", NEW_YORK, "2025-03-03T14:30", None, "2025-03-07T21:00"),
        ("1M", "24x7", UTC_ZONE, "2025-04-01T00:00", None, "2025-05-01T00:00"),
        ("1M", "1800-1700", NEW_YORK, "2025-04-30T22:00", None, "2025-06-13T22:00"),
        ("1W", "0945-1725:12345", "Asia/Jerusalem", "2025-01-05T07:45", None, "2025-01-09T15:25"),
        # Nothing is known of the hours.
        ("1h", "", "", "2025-01-01T00:00", "2025-01-01T03:00", "2025-01-01T03:00"),
        ("1h", "", "", "2025-01-01T00:00", None, "2025-01-02T00:00"),
        ("1D", "", "", "2025-01-01T00:00", None, "2025-01-15T01:00"),
        ("1h", "0930-1600", "Mars/Olympus", "2025-01-01T00:00", None, "2025-01-02T00:00"),
        # Summer time ends in the night: 24 hours later by the wall clock are 25.
        ("1D", "24x7", NEW_YORK, "2025-11-02T04:00", None, "2025-11-03T05:00"),
        # And where the day ends at half past one, of the two it is the later one.
        ("1D", "2000-0130", NEW_YORK, "2025-11-02T00:00", "2025-11-02T06:30", "2025-11-02T06:30"),
        ("2h", "0930-0130:1234567", NEW_YORK, "2025-11-02T05:00", None, "2025-11-02T06:30"),
    ],
)  # fmt: skip
def test_a_bar_closes_at_the_earliest_instant_that_is_sure(
    timeframe: str, hours: str, zone: str, opens: str, following: str | None, closes: str
) -> None:
    instants = [opens] if following is None else [opens, following]
    times = np.array(instants, dtype="M8[ms]").view(np.int64)

    found = close_instants(times, Clock(timeframe, Calendar(hours, zone)))

    assert str(found[:1].view("M8[ms]")[0]) == f"{closes}:00.000"


SYMBOLS = ["BINANCE:BTCUSDT", "NASDAQ:AAPL", "TSE:7203", "HOSE:VCB", "NSE:RELIANCE", "FX_IDC:EURUSD", "CME_MINI:ES1!"]  # fmt: skip


@pytest.mark.parametrize("timeframe", ["15", "45", "1h", "4h", "1D", "1W", "1M"])
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_bar_closes_before_its_last_minute(tmp_path: Path, symbol: str, timeframe: str) -> None:
    base, n_base, n_bars = ("5", 2000, 300) if timeframe[-1] not in "DWM" else ("15", 6000, 40)
    # Over both changes of summer time, Thanksgiving, Christmas and the new year.
    for now in [datetime(2025, 3, 18, 12, tzinfo=UTC), datetime(2025, 12, 3, tzinfo=UTC), NOW]:
        write_sample(tmp_path, symbol, base, n_base, now=now)
        write_sample(tmp_path, symbol, timeframe, n_bars, now=now)
        short = load(symbol, base, source="sample", folder=tmp_path)
        bars = load(symbol, timeframe, source="sample", folder=tmp_path)
        starts = bars.index.searchsorted(short.index, "right") - 1
        is_in = (starts >= 0) & (short.index < bars.index[-1])
        opened = pd.Series(short.index)[is_in] + pd.Timedelta(f"{base}min")
        ends = opened.groupby(starts[is_in]).max()

        closes = close_times(bars).iloc[ends.index]

        assert len(ends)
        assert (closes.to_numpy() >= ends.to_numpy()).all()


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_closing_is_decided_by_what_had_opened_by_then(tmp_path: Path, symbol: str) -> None:
    """What counts as closed at an instant is the same without all that came after it."""
    write_sample(tmp_path, symbol, "1D", 60)
    bars = load(symbol, "1D", source="sample", folder=tmp_path)
    closes = close_times(bars)

    for instant in bars.index[1::7]:
        seen = bars[bars.index <= instant]
        known = close_times(seen)

        assert ((known <= instant) == (closes[: len(seen)] <= instant)).all()


def test_the_bar_after_the_last_one_is_known_though_it_is_left_out(tmp_path: Path) -> None:
    write_sample(tmp_path, "FX_IDC:EURUSD", "1D", 10, now=datetime(2026, 1, 8, 12, tzinfo=UTC))

    bars = load("FX_IDC:EURUSD", "1D", source="sample", folder=tmp_path)

    assert bars.index[-1] == pd.Timestamp("2026-01-06T22:00Z")
    assert close_times(bars).iloc[-1] == pd.Timestamp("2026-01-07T22:00Z")
    # Not any more once the last row is another one: then only the next row is known.
    assert close_times(bars.iloc[:-1]).iloc[-1] == pd.Timestamp("2026-01-19T22:00Z")


def test_a_closed_last_bar_had_closed_when_it_was_fetched(tmp_path: Path) -> None:
    table = bars_table(3, step=86400)
    write(
        tmp_path,
        table=table,
        n_bars=3,
        timeframe="1W",
        fetched_at=datetime(2025, 1, 4, 1, tzinfo=UTC),
    )

    bars = load("BINANCE:BTCUSDT", "1W", folder=tmp_path)

    # With an hour for a clock that is slow.
    assert close_times(bars).iloc[-1] == pd.Timestamp("2025-01-04T02:00Z")


def test_bars_that_do_not_say_what_they_are_need_it_said(tmp_path: Path) -> None:
    write(tmp_path, 5)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    bars.attrs.clear()

    with pytest.raises(InvalidRequest, match="timeframe= , hours=|timeframe=, hours=, timezone="):
        close_times(bars)
    closes = close_times(bars, timeframe="1h", hours="24x7", timezone="UTC")
    assert (closes - bars.index == pd.Timedelta("1h")).all()
    with pytest.raises(InvalidRequest, match="strictly increasing"):
        close_times(bars.iloc[::-1], timeframe="1h", hours="24x7", timezone="UTC")
    with pytest.raises(InvalidRequest, match="not one of times"):
        close_times(bars.reset_index(), timeframe="1h", hours="24x7", timezone="UTC")


@pytest.mark.parametrize(
    ("symbol", "timeframe", "rule"),
    [
        ("BINANCE:BTCUSDT", "1h", "2h"),
        ("BINANCE:BTCUSDT", "1h", "1D"),
        ("BINANCE:BTCUSDT", "4h", "1D"),
        ("BINANCE:BTCUSDT", "1D", "2D"),
        ("BINANCE:BTCUSDT", "1W", "MS"),
        ("BINANCE:BTCUSDT", "1M", "YS"),
        ("NASDAQ:AAPL", "1h", "1D"),
        ("NASDAQ:AAPL", "4h", "1D"),
        ("NASDAQ:AAPL", "1D", "W"),
        ("NASDAQ:AAPL", "1D", "MS"),
        ("TSE:7203", "1h", "1D"),
        ("CME_MINI:ES1!", "1h", "1D"),
        ("FX_IDC:EURUSD", "1D", "W"),
    ],
)
def test_what_pandas_aggregated_is_not_taken_for_the_bars_it_was(
    tmp_path: Path, symbol: str, timeframe: str, rule: str
) -> None:
    """pandas keeps `attrs`: a day of hours would count as closed an hour after it began."""
    write_sample(tmp_path, symbol, timeframe, 60)
    bars = load(symbol, timeframe, source="sample", folder=tmp_path)

    aggregated = bars.resample(rule).last()
    assert aggregated.attrs["timeframe"] == timeframe

    with pytest.raises(InvalidRequest, match="rows lie too far apart for bars of"):
        close_times(aggregated)
    with pytest.raises(InvalidRequest, match="rows lie too far apart for bars of"):
        align(bars, aggregated)
    with pytest.raises(InvalidRequest, match="rows lie too far apart for bars of"):
        close_times(aggregated.dropna(how="all"))
    assert len(close_times(aggregated, timeframe="1M"))


def test_two_days_that_pandas_made_of_hours_are_refused_as_well(tmp_path: Path) -> None:
    write(tmp_path, 30)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    with pytest.raises(InvalidRequest, match="rows lie too far apart for bars of 1h"):
        align(bars, bars.resample("1D").last())
    assert len(close_times(bars.iloc[[0, 24]])) == 2


@pytest.mark.parametrize("timeframe", ["5", "1h", "4h", "1D", "1W", "1M"])
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_any_stretch_of_bars_is_taken_for_what_it_is(
    tmp_path: Path, symbol: str, timeframe: str
) -> None:
    # Over Thanksgiving, Christmas and the new year.
    write_sample(tmp_path, symbol, timeframe, 40)
    bars = load(symbol, timeframe, source="sample", folder=tmp_path)

    times, clock = index_ms(bars), clock_in(bars)
    for first in range(len(bars)):
        for n_rows in (1, 2, 3, 8):
            assert not is_spread_out(times[first : first + n_rows], clock)


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Etc/UTC"]
)
def test_one_instant_has_the_same_wall_clock_as_several(zone: str) -> None:
    rules = parse_zone(zone)
    assert rules is not None
    # Each hour around both changes of the clock in New York, milliseconds before and after them, and far ends.
    changes = [1_741_503_600_000, 1_762_063_200_000]
    instants = [
        change + hour * 3_600_000 + ms
        for change in changes
        for hour in range(-3, 4)
        for ms in (-1, 0)
    ]
    for instant in [*instants, 0, -1, 4_102_444_799_999, 4_102_444_800_000]:
        together = to_wall(np.array([instant, instant], dtype=np.int64), rules)
        assert to_wall(np.array([instant], dtype=np.int64), rules)[0] == together[0], instant
