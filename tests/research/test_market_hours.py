"""Sessions, open or closed, and times of the exchange's day."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets.bars import Instrument
from datasets.errors import InvalidRequest
from datasets.research import (
    DatasetNotFound,
    between,
    is_open,
    load,
    resample,
    sessions,
    trading_day,
)
from tests.support.factories import bars_table
from tests.support.study_files import write, write_sample

NASDAQ = Instrument(
    timezone="America/New_York",
    session_hours="0930-1600",
    session_holidays="20241128",
    session_correction="0930-1300:20241129",
)
TOKYO = Instrument(timezone="Asia/Tokyo", session_hours="0900-1130,1230-1530")
FUTURES = Instrument(timezone="America/Chicago", session_hours="1700-1600")


def write_market(folder: Path, instrument: Instrument, **changes: Any) -> None:
    write(folder, 48, symbol="LOAD:M", instrument=instrument, **changes)


def local(instants: Any, zone: str) -> list[str]:
    return list(pd.DatetimeIndex(instants).tz_convert(zone).strftime("%a %H:%M"))


def test_sessions_follow_holidays_and_early_closes_of_the_feed(tmp_path: Path) -> None:
    write_market(tmp_path, NASDAQ)

    week = sessions("LOAD:M", "2024-11-25", "2024-12-01", folder=tmp_path)

    assert list(week.index.strftime("%a %d")) == ["Mon 25", "Tue 26", "Wed 27", "Fri 29"]  # type: ignore[attr-defined]
    assert set(local(week["open"], "America/New_York")) == {
        "Mon 09:30", "Tue 09:30", "Wed 09:30", "Fri 09:30"
    }  # fmt: skip
    assert local(week["close"], "America/New_York")[-2:] == ["Wed 16:00", "Fri 13:00"]
    bars = load("LOAD:M", folder=tmp_path)
    pd.testing.assert_frame_equal(sessions(bars, "2024-11-25", "2024-12-01"), week)


def test_the_calendar_is_that_of_the_newest_fetch_of_any_timeframe(tmp_path: Path) -> None:
    write_market(tmp_path, TOKYO, timeframe="1D", fetched_at=datetime(2025, 6, 2, tzinfo=UTC))
    write_market(tmp_path, NASDAQ, fetched_at=datetime(2025, 6, 1, tzinfo=UTC))

    day = sessions("LOAD:M", "2025-06-02", "2025-06-03", folder=tmp_path)

    assert local(day["open"], "Asia/Tokyo") == ["Mon 09:00"]


def test_each_period_of_trade_can_have_a_row(tmp_path: Path) -> None:
    write_market(tmp_path, TOKYO)

    periods = sessions("LOAD:M", "2025-06-02", "2025-06-04", periods=True, folder=tmp_path)

    assert local(periods["open"], "Asia/Tokyo") == [
        "Mon 09:00", "Mon 12:30", "Tue 09:00", "Tue 12:30"
    ]  # fmt: skip
    assert local(periods["close"], "Asia/Tokyo")[:2] == ["Mon 11:30", "Mon 15:30"]
    assert periods.index.is_monotonic_increasing


def test_a_night_session_opens_before_its_date(tmp_path: Path) -> None:
    write_market(tmp_path, FUTURES)

    days = sessions("LOAD:M", "2025-06-02", "2025-06-04", folder=tmp_path)

    assert local(days["open"], "America/Chicago") == ["Sun 17:00", "Mon 17:00"]
    assert local(days["close"], "America/Chicago") == ["Mon 16:00", "Tue 16:00"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2024-11-27T14:29:59Z", False), ("2024-11-27T14:30Z", True), ("2024-11-27T20:59Z", True),
        ("2024-11-27T21:00Z", False), ("2024-11-28T15:00Z", False), ("2024-11-29T17:59Z", True),
        ("2024-11-29T18:00Z", False), ("2024-11-30T15:00Z", False),
    ],
)  # fmt: skip
def test_a_market_is_open_from_its_opening_to_its_close(
    tmp_path: Path, at: str, expected: bool
) -> None:
    write_market(tmp_path, NASDAQ)

    assert is_open("LOAD:M", at, folder=tmp_path) is expected


def test_a_market_is_closed_in_its_lunch_break(tmp_path: Path) -> None:
    write_market(tmp_path, TOKYO)
    # Not in order.
    hours = pd.DatetimeIndex(["2025-06-02T12:00", "2025-06-02T10:00", "2025-06-02T13:00"])

    found = is_open("LOAD:M", hours.tz_localize("Asia/Tokyo"), folder=tmp_path)

    assert isinstance(found, pd.Series)
    assert found.tolist() == [False, True, True]
    assert isinstance(is_open("LOAD:M", folder=tmp_path), bool)


def test_bars_between_two_times_are_those_of_the_exchanges_clock(tmp_path: Path) -> None:
    write_sample(tmp_path, "NASDAQ:AAPL", "30", 3000)
    bars = load("NASDAQ:AAPL", "30", source="sample", folder=tmp_path)

    morning = between(bars, "09:30", time(11, 0))

    # Also over the change of summer time.
    assert len(set(opening_hours(morning))) > 2
    opened = pd.DatetimeIndex(morning.index).tz_convert("America/New_York").strftime("%H:%M")
    assert set(opened) == {"09:30", "10:00", "10:30"}
    assert morning.attrs["content_hash"] == bars.attrs["content_hash"]
    pd.testing.assert_frame_equal(morning, bars.loc[morning.index])


def test_an_end_before_the_start_is_on_the_next_day(tmp_path: Path) -> None:
    write(tmp_path, 48, table=bars_table(48))
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    night = between(bars, "22:00", "02:00")

    assert opening_hours(night) == [0, 1, 22, 23, 0, 1, 22, 23]
    early = between(bars, "00:00", "02:00", timezone="Asia/Tokyo")
    assert opening_hours(early) == [15, 16] * 2


def opening_hours(bars: pd.DataFrame) -> list[int]:
    return [int(hour) for hour in pd.DatetimeIndex(bars.index).hour]


def test_a_night_bar_belongs_to_the_date_on_which_its_session_ends(tmp_path: Path) -> None:
    friday = int(datetime(2025, 6, 6, 12, tzinfo=UTC).timestamp())
    write_market(tmp_path, FUTURES, table=bars_table(48, start=friday), n_bars=48)
    bars = load("LOAD:M", folder=tmp_path)
    # From Friday noon to Friday evening in UTC, then from Sunday's opening on.
    bars = pd.concat([bars.iloc[:9], bars.iloc[9:].shift(freq="49h")])

    days = trading_day(bars)

    assert days.name == "trading_day"
    assert days.index.equals(bars.index)
    assert days.iloc[:9].unique().tolist() == [pd.Timestamp("2025-06-06")]
    assert days.iloc[9] == pd.Timestamp("2025-06-09")
    assert bars.index[9] == pd.Timestamp("2025-06-08T22:00Z")


def test_the_days_of_bars_are_those_that_resample_makes(tmp_path: Path) -> None:
    write_sample(tmp_path, "CME_MINI:ES1!", "30", 2000)
    bars = load("CME_MINI:ES1!", "30", source="sample", folder=tmp_path)

    days = resample(bars, "1D")
    volume = bars["volume"].groupby(trading_day(bars)).sum()

    # Without the first and the last day, which are not whole.
    np.testing.assert_allclose(volume.to_numpy()[1:][: len(days)], days["volume"])
    assert volume.loc[trading_day(days)].tolist() == days["volume"].tolist()


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda bars: between(bars, "9.30", "16:00"), "start"),
        (lambda bars: between(bars, "09:30", "25:00"), "end"),
        (lambda bars: between(bars, "09:30", "09:30"), "end"),
        (lambda bars: between(bars, "09:30", "16:00", timezone="New York"), "timezone"),
        (lambda bars: sessions(bars, "2025-01-01", "tomorrow"), "end"),
        (lambda bars: sessions(bars, None, "2025-01-02"), "start"),  # type: ignore[arg-type]
        (lambda bars: is_open(bars, "noon"), "at"),
        (lambda bars: trading_day(pd.DataFrame({"close": 1.0}, index=bars.index)), "market"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, call: Any, field: str) -> None:
    write(tmp_path, 20)

    with pytest.raises(InvalidRequest) as refused:
        call(load("BINANCE:BTCUSDT", folder=tmp_path))

    assert list(refused.value.errors) == [field]


def test_unknown_hours_and_missing_symbols_are_errors(tmp_path: Path) -> None:
    write_market(tmp_path, Instrument(timezone="Etc/UTC", session_hours="whenever"))

    with pytest.raises(InvalidRequest, match="'whenever' are in no known form"):
        is_open("LOAD:M", "2025-01-01", folder=tmp_path)
    with pytest.raises(InvalidRequest, match="hours are not known"):
        sessions(load("LOAD:M", folder=tmp_path), "2025-01-01", "2025-01-02")
    with pytest.raises(DatasetNotFound, match="LOAD:N"):
        sessions("LOAD:N", "2025-01-01", "2025-01-02", folder=tmp_path)
    with pytest.raises(DatasetNotFound):
        sessions("LOAD:M", "2025-01-01", "2025-01-02", session="extended", folder=tmp_path)


def test_sessions_and_bars_of_the_sample_feed_agree(tmp_path: Path) -> None:
    write_sample(tmp_path, "CME_MINI:ES1!", "30", 2000)
    bars = load("CME_MINI:ES1!", "30", source="sample", folder=tmp_path)

    found = is_open(bars, pd.DatetimeIndex(bars.index))

    assert np.asarray(found).all()
