"""Timeframes that TradingView does not send, made of shorter bars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets.errors import InvalidRequest
from datasets.research import DatasetNotFound, load, resample, write_lock
from datasets.storage import METADATA_KEY
from samplefeed.bars import Request, make_bars
from samplefeed.instruments import find_instrument
from samplefeed.timeframes import Timeframe
from tests.support.factories import bars_table
from tests.support.study_files import NOW, write, write_sample

COLUMNS = ["open", "high", "low", "close", "volume"]
PANDAS = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
MONDAY = pd.Timestamp("1969-12-29")


@pytest.mark.parametrize(
    ("base", "target", "rule"),
    [
        ("1", "8", "8min"), ("5", "20", "20min"), ("1h", "6h", "6h"), ("1h", "12h", "12h"),
        ("1h", "2D", "2D"), ("1h", "2W", "14D"), ("1D", "2W", "14D"), ("1D", "3D", "3D"),
        ("1D", "3M", "3MS"), ("1D", "6M", "6MS"), ("1D", "12M", "12MS"), ("1M", "3M", "3MS"),
    ],
)  # fmt: skip
def test_round_the_clock_the_bars_are_those_of_pandas(
    tmp_path: Path, base: str, target: str, rule: str
) -> None:
    seconds = {"1": 60, "5": 300, "1h": 3600, "1D": 86400, "1M": 86400}[base]
    write(tmp_path, table=bars_table(2000, step=seconds), timeframe=base, n_bars=2000)
    bars = load("BINANCE:BTCUSDT", base, folder=tmp_path)
    if base == "1M":
        bars = bars[bars.index.day == 1]

    ours = resample(bars, target)

    # pandas counts minutes from midnight, and months from the first bar, a first of January.
    origin = MONDAY if rule.endswith("D") else "start_day"
    theirs = bars.tz_localize(None).resample(rule, origin=origin).agg(PANDAS).tz_localize("UTC")
    assert len(ours) >= 5
    pd.testing.assert_frame_equal(
        ours[COLUMNS], theirs.loc[ours.index, COLUMNS], check_freq=False, check_flags=False
    )
    assert ours.attrs["timeframe"] == target
    assert ours.attrs["made_from"] == base


@pytest.mark.parametrize(
    ("target", "openings"),
    [
        ("90", ["09:30", "11:00", "12:30", "14:00", "15:30"]),
        ("150", ["09:30", "12:00", "14:30"]),
        ("6h", ["09:30", "15:30"]),
        ("12h", ["09:30"]),
    ],
)
def test_a_length_that_does_not_divide_the_session_fills_it(
    tmp_path: Path, target: str, openings: list[str]
) -> None:
    write_sample(tmp_path, "NASDAQ:AAPL", "30", 500)

    bars = resample(load("NASDAQ:AAPL", "30", source="sample", folder=tmp_path), target)

    opened = pd.DatetimeIndex(bars.index).tz_convert("America/New_York").strftime("%H:%M")
    closed = pd.DatetimeIndex(bars["close_time"]).tz_convert("America/New_York").strftime("%H:%M")
    assert sorted(set(opened)) == openings
    # The last bar of a day ends with the session.
    assert set(closed) == {*openings[1:], "16:00"}


def test_two_days_are_two_weekdays_also_around_a_holiday(tmp_path: Path) -> None:
    days = pd.bdate_range("2024-11-18", "2024-12-20", tz="America/New_York")
    days = days[days != pd.Timestamp("2024-11-28", tz="America/New_York")]
    values = np.arange(len(days), dtype=float)
    bars = pd.DataFrame({"close": values}, index=(days + pd.Timedelta("9h30min")).rename("time"))
    bars.attrs.update(timeframe="1D", session_hours="0930-1600", timezone="America/New_York")

    pairs = resample(bars, "2D")
    later = resample(bars.iloc[3:], "2D")

    opened = pd.DatetimeIndex(pairs.index).tz_convert("America/New_York").strftime("%a %d")
    assert opened[:8].tolist() == [
        "Mon 18", "Wed 20", "Fri 22", "Tue 26", "Fri 29", "Mon 02", "Wed 04", "Fri 06"
    ]  # fmt: skip
    # The pairs do not depend on the first bar that is loaded.
    assert later.index.isin(pairs.index).all()
    assert len(later) == len(pairs) - 2


@pytest.mark.parametrize("count", [3, 6, 12])
@pytest.mark.parametrize("symbol", ["BINANCE:BTCUSDT", "NASDAQ:AAPL"])
def test_quarters_and_years_are_the_feeds_own(tmp_path: Path, symbol: str, count: int) -> None:
    write_sample(tmp_path, symbol, "1M", 300)
    instrument = find_instrument(symbol)
    assert instrument is not None
    made = make_bars(instrument, Request(Timeframe("M", count), 300, NOW.timestamp())).rows
    theirs = pd.DataFrame(made[:, 1:6], columns=COLUMNS).set_index(made[:, 0].astype("M8[s]"))

    ours = resample(load(symbol, "1M", source="sample", folder=tmp_path), f"{count}M")

    assert len(ours) >= 5
    same = theirs.loc[pd.DatetimeIndex(ours.index).tz_localize(None)]
    np.testing.assert_allclose(ours[COLUMNS].to_numpy(), same.to_numpy())


@pytest.mark.parametrize(
    ("base", "target"),
    [("5", "7"), ("3h", "4h"), ("2D", "3D"), ("2D", "1W"), ("1W", "2D"), ("2W", "3W"), ("3M", "2M")],
)  # fmt: skip
def test_lengths_that_do_not_divide_are_refused(base: str, target: str) -> None:
    bars = pd.DataFrame({"close": [1.0]}, index=pd.DatetimeIndex(["2025-01-06T00:00Z"]))
    bars.attrs.update(timeframe=base, session_hours="24x7", timezone="Etc/UTC")

    with pytest.raises(InvalidRequest, match=f"of {base} do not add up to bars of {target}"):
        resample(bars, target)


def test_made_bars_can_be_made_longer_again(tmp_path: Path) -> None:
    write(tmp_path, 240)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    twice = resample(resample(bars, "6h"), "12h")

    pd.testing.assert_frame_equal(twice, resample(bars, "12h"), check_flags=False)
    assert twice.attrs["made_from"] == "1h"


# --- loaded -------------------------------------------------------------------------------


def test_a_made_timeframe_is_loaded_from_the_largest_one_that_divides_it(tmp_path: Path) -> None:
    write_sample(tmp_path, "NASDAQ:AAPL", "3h", 300)
    write_sample(tmp_path, "NASDAQ:AAPL", "1h", 600)

    bars = load("NASDAQ:AAPL", "360", source="sample", folder=tmp_path)

    base = load("NASDAQ:AAPL", "3h", source="sample", folder=tmp_path)
    whole = resample(base, "6h")
    pd.testing.assert_frame_equal(bars, whole[COLUMNS], check_flags=False)
    assert (bars.attrs["timeframe"], bars.attrs["made_from"]) == ("6h", "3h")
    assert bars.attrs["content_hash"] == base.attrs["content_hash"]


def test_a_part_of_made_bars_is_the_part_of_all_of_them(tmp_path: Path) -> None:
    write(tmp_path, 500, timeframe="3h", table=bars_table(500, step=10800))
    options: dict[str, Any] = {"folder": tmp_path, "columns": ["close", "close_time"]}
    whole = load("BINANCE:BTCUSDT", "6h", **options)

    part = load("BINANCE:BTCUSDT", "6h", start="2025-01-11", end="2025-01-12T07:00", **options)
    newest = load("BINANCE:BTCUSDT", "6h", n_bars=10, **options)

    pd.testing.assert_frame_equal(part, whole.loc["2025-01-11":"2025-01-12T06:00"])
    pd.testing.assert_frame_equal(newest, whole.tail(10))
    assert len(part) == 6


def test_made_bars_have_the_forms_and_units_of_loaded_ones(tmp_path: Path) -> None:
    write(tmp_path, 500)
    options: dict[str, Any] = {"folder": tmp_path, "columns": ["close", "close_time"], "unit": "us"}
    bars = load("BINANCE:BTCUSDT", "5h", **options)

    arrays = load("BINANCE:BTCUSDT", "5h", as_="numpy", **options)
    table = load("BINANCE:BTCUSDT", "5h", as_="arrow", **options)

    assert str(pd.DatetimeIndex(bars.index).dtype) == "datetime64[us, UTC]"
    pd.testing.assert_frame_equal(table.to_pandas().set_index("time"), bars, check_flags=False)
    assert json.loads(table.schema.metadata[METADATA_KEY])["made_from"] == "1h"
    assert {name: values.dtype.str for name, values in arrays.items()} == {
        "time": "<M8[us]", "close": "<f8", "close_time": "<M8[us]"
    }  # fmt: skip
    np.testing.assert_array_equal(arrays["close"], bars["close"])


def test_made_bars_are_locked_by_their_file(tmp_path: Path) -> None:
    write(tmp_path, 500)
    lock = tmp_path / "study.lock"
    bars = load("BINANCE:BTCUSDT", "5h", folder=tmp_path)
    write_lock(lock, bars)
    write(tmp_path, 600)

    pd.testing.assert_frame_equal(load("BINANCE:BTCUSDT", "5h", lock=lock, folder=tmp_path), bars)
    assert json.loads(lock.read_text())["datasets"][0]["timeframe"] == "1h"


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    write(tmp_path, 20)

    with pytest.raises(DatasetNotFound, match="of 6h are made of bars of 3h.*manage.py fetch .* -t 3h"):  # fmt: skip
        load("BINANCE:BTCUSDT", "6h", folder=tmp_path)
    with pytest.raises(InvalidRequest, match="0 is below 1"):
        load("BINANCE:BTCUSDT", "6h", n_bars=0, folder=tmp_path)
