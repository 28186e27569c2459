"""Bars as the data folders of LEAN, freqtrade and qlib, read back by the documented formats."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.feather
import pytest

from datasets.bars import Instrument
from datasets.errors import InvalidRequest
from datasets.research import load, write_freqtrade, write_lean, write_qlib
from tests.engines.cases import CASES
from tests.support.engine_files import write_cases
from tests.support.engine_reports import RoundTrip, row_of
from tests.support.factories import bars_table
from tests.support.study_files import write, write_sample

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with the datasets that the engines get."""
    folder = tmp_path_factory.mktemp("outputs")
    write_cases(folder)
    return folder


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Minutes of a share on two dates."""
    folder = tmp_path_factory.mktemp("minutes")
    write_sample(folder, "NASDAQ:AAPL", "1", 700)
    bars: pd.DataFrame = load("NASDAQ:AAPL", "1", source="sample", folder=folder)
    bars.attrs["type"] = "stock"
    return bars


def load_case(name: str, outputs: Path) -> pd.DataFrame:
    case = CASES[name]
    columns = [*PRICES, "volume", "close_time"]
    bars: pd.DataFrame = load(
        case.symbol, case.timeframe, folder=outputs, closed=not case.is_forming, columns=columns
    )
    return bars


def read_lean(path: Path) -> pd.DataFrame:
    """Read hours or days as LEAN's documentation describes the file."""
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        rows = [line.split(",") for line in archive.read(name).decode().splitlines()]
    frame = pd.DataFrame(rows, columns=["time", *PRICES, "volume"])
    times = pd.to_datetime(frame.pop("time"), format="%Y%m%d %H:%M")
    frame = frame.astype(float).set_index(pd.DatetimeIndex(times))
    if path.parts[-4] == "equity":
        frame[PRICES] /= 10_000
    return frame


def test_the_table_says_what_a_folder_of_lean_keeps(outputs: Path, tmp_path: Path) -> None:
    trips = {}
    for name in CASES:
        bars = load_case(name, outputs)
        try:
            (path,) = write_lean(bars, tmp_path)
        except InvalidRequest as error:
            trips[name] = RoundTrip(bars, None, str(error))
        else:
            trips[name] = RoundTrip(bars, read_lean(path))

    row = row_of("[LEAN's data folder](#lean)", trips)

    assert row in PAGE.read_text().splitlines(), f"the measured row:\n{row}"
    assert "still forming" in trips["forming"].refused


def test_a_folder_of_lean_has_the_documented_files(
    outputs: Path, minutes: pd.DataFrame, tmp_path: Path
) -> None:
    days = write_lean(load_case("days", outputs), tmp_path)
    hours = write_lean(load_case("hours", outputs), tmp_path)
    by_date = write_lean(minutes, tmp_path)

    assert [path.relative_to(tmp_path).as_posix() for path in [*days, *hours]] == [
        "equity/usa/daily/aapl.zip",
        "crypto/binance/hour/btcusdt_trade.zip",
    ]
    last = by_date[-1]
    assert last == tmp_path / "equity/usa/minute/aapl/20260109_trade.zip"
    with zipfile.ZipFile(last) as archive:
        assert archive.namelist() == ["20260109_aapl_minute_trade.csv"]
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    bar = minutes.loc["2026-01-09 14:30"]
    prices = [str(round(bar[name] * 10_000)) for name in PRICES]
    # Half past nine in New York.
    assert lines[0] == ",".join(["34200000", *prices, str(round(bar["volume"]))])
    content = last.read_bytes()
    assert write_lean(minutes, tmp_path)[-1].read_bytes() == content


def test_lean_gets_no_bars_that_it_would_misread(
    outputs: Path, minutes: pd.DataFrame, tmp_path: Path
) -> None:
    days = load_case("days", outputs)
    factors = tmp_path / "equity/usa/factor_files/aapl.csv"
    factors.parent.mkdir(parents=True)
    factors.write_text("20200828,0.98,0.25,500\n20501231,1,1,0\n")
    write_lean(minutes.iloc[:400], tmp_path / "other")
    currency, weeks = days.copy(), days.copy()
    currency.attrs |= {"type": "forex", "exchange": "OANDA"}
    weeks.attrs |= {"timeframe": "1W"}
    raw = days.copy()
    raw.attrs |= {"adjustment": "none"}
    refused = {
        "LEAN would adjust them once more": (days, tmp_path),
        "other days, the first in": (minutes.iloc[-10:], tmp_path / "other"),
        "need bid and ask": (currency, tmp_path),
        "makes other lengths of these": (weeks, tmp_path),
        "needs a volume": (days.drop(columns="volume"), tmp_path / "new"),
        "by more than 0.1 %": (days.assign(**days[PRICES] / 1000), tmp_path / "new"),
    }

    for message, (bars, folder) in refused.items():
        with pytest.raises(InvalidRequest, match=message):
            write_lean(bars, folder)
    assert write_lean(raw, tmp_path)
    factors.write_text("20501231,1,1,0\n")
    assert write_lean(days, tmp_path)


def test_a_folder_of_freqtrade_has_a_feather_file_for_each_pair(
    outputs: Path, tmp_path: Path
) -> None:
    bars = load_case("hours", outputs)
    future = bars.copy()
    future.attrs |= {"symbol": "BTCUSDT.P", "type": "swap", "timeframe": "1D"}

    paths = [write_freqtrade(bars, tmp_path), write_freqtrade(future, tmp_path)]

    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "binance/BTC_USDT-1h.feather",
        "binance/futures/BTC_USDT_USDT-1d-futures.feather",
    ]
    back = pyarrow.feather.read_feather(paths[0])
    assert list(back) == ["date", *PRICES, "volume"]
    assert str(back["date"].dtype) == "datetime64[ms, UTC]"
    assert back["date"].tolist() == bars.index.tolist()
    assert np.array_equal(back.iloc[:, 1:], bars.drop(columns="close_time"))
    with_hours, metal = bars.copy(), bars.copy()
    with_hours.attrs |= {"session_hours": "0930-1600"}
    metal.attrs |= {"type": "commodity"}
    for refused in (load_case("days", outputs), with_hours, metal):
        with pytest.raises(InvalidRequest, match="fills each interval without a bar"):
            write_freqtrade(refused, tmp_path)


def test_a_folder_of_qlib_has_one_calendar_for_all_instruments(
    outputs: Path, tmp_path: Path
) -> None:
    bars = load_case("days", outputs)
    shorter = bars.drop(bars.index[105]).iloc[100:-1]

    write_qlib({"AAPL": bars, "con": shorter}, tmp_path / "qlib")

    folder = tmp_path / "qlib"
    dates = (folder / "calendars/day.txt").read_text().split()
    assert dates == [f"{day:%Y-%m-%d}" for day in pd.DatetimeIndex(bars.index)]
    lines = (folder / "instruments/all.txt").read_text().splitlines()
    assert lines == [
        f"AAPL\t{dates[0]}\t{dates[-1]}",
        f"CON\t{dates[100]}\t{dates[-2]}",
    ]
    first, *closes = np.fromfile(folder / "features/_qlib_con/close.day.bin", dtype="<f4")
    expected = bars["close"].to_numpy().astype("f4")[100:-1]
    expected[5] = np.nan
    assert first == 100
    assert np.array_equal(closes, expected, equal_nan=True)
    assert not (folder / "features/aapl/factor.day.bin").exists()


def test_qlib_gets_no_bars_that_it_would_misread(outputs: Path, tmp_path: Path) -> None:
    bars, coin = load_case("days", outputs), load_case("hours", outputs)
    raw, share = bars.copy(), coin.copy()
    raw.attrs |= {"adjustment": "none"}
    share.attrs |= {"timezone": "America/New_York"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    refused = {
        "differ in adjustment": ({"a": bars, "b": raw}, "new"),
        "cannot read an instrument named 'na'": ({"NA": bars}, "new"),
        "does not distinguish capital letters": ({"a": bars, "A": bars}, "new"),
        "holds other files": ({"a": bars}, "mine"),
        "one clock for all instruments": ({"a": coin, "b": share.iloc[:-200]}, "new"),
    }

    for message, (frames, name) in refused.items():
        with pytest.raises(InvalidRequest, match=message):
            write_qlib(frames, tmp_path / name)
    write_qlib({"a": bars}, tmp_path / "new")
    write_qlib({"b": raw}, tmp_path / "new")
    assert [path.name for path in (tmp_path / "new/features").iterdir()] == ["b"]
    assert (tmp_path / "new/features/b/factor.day.bin").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_hour_that_stands_twice_is_refused_for_qlib(tmp_path: Path) -> None:
    # 2025-11-02 in New York: summer time ends.
    instrument = Instrument(timezone="America/New_York", session_hours="24x7")
    write(tmp_path, 9, table=bars_table(9, start=1_762_056_000), instrument=instrument)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    with pytest.raises(InvalidRequest, match="an hour stands twice"):
        write_qlib({"a": bars}, tmp_path / "qlib")
