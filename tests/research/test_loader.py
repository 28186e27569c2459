"""`load` and `catalog`: datasets read from their files."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.bars import BAR_COLUMNS, Instrument
from datasets.errors import FileCorrupt, InvalidRequest
from datasets.research import (
    DatasetNotFound,
    FolderUnavailable,
    catalog,
    load,
    reader,
    to_backtesting,
    to_numpy,
    to_vectorbt,
)
from datasets.research.table_cache import TableCache
from datasets.storage import METADATA_KEY
from tests.support.factories import START, bars_table
from tests.support.study_files import require, write, write_sample

ROOT = Path(__file__).parents[2]


def test_the_loader_needs_no_django_and_no_settings(tmp_path: Path) -> None:
    write(tmp_path, 50)
    script = (
        "import sys\n"
        "from datasets.research import load, load_panel, resample, align, catalog\n"
        f"bars = load('BINANCE:BTCUSDT', '1h', folder={str(tmp_path)!r})\n"
        f"load_panel(['BINANCE:BTCUSDT'], '1h', folder={str(tmp_path)!r})\n"
        "assert len(bars) == 50\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('django', 'celery')]\n"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=ROOT, env={}, check=True)


def test_a_frame_holds_the_files_own_numbers(tmp_path: Path) -> None:
    key = write(tmp_path, 200)

    bars = load("BINANCE:BTCUSDT", "1h", folder=tmp_path)

    table = pq.read_table(tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_200.parquet")
    assert bars.columns.tolist() == ["open", "high", "low", "close", "volume"]
    assert (bars.dtypes == "float64").all()
    assert bars.index.name == "time"
    assert str(bars.index.dtype) == "datetime64[ms, UTC]"
    assert bars.index.tolist() == table["time"].to_pandas().tolist()
    for name in bars.columns:
        assert np.array_equal(bars[name].to_numpy(), table[name].to_numpy())
    assert bars.attrs["full_symbol"] == key.full_symbol
    assert bars.attrs["path"] == "tradingview/BINANCE_BTCUSDT_1h_200.parquet"


def test_attrs_say_where_the_bars_come_from(tmp_path: Path) -> None:
    write(tmp_path, 40, session="extended", adjustment="dividends")

    bars = load(
        "binance:btcusdt", "60", session="extended", adjustment="dividends", folder=tmp_path
    )

    facts = json.loads(
        pq.read_schema(
            tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_40_extended_dividends.parquet"
        ).metadata[METADATA_KEY]
    )
    assert bars.attrs["content_hash"] == facts["content_hash"]
    assert bars.attrs["fetched_at"] == "2025-06-01T00:00:00+00:00"
    assert bars.attrs["n_rows"] == 40
    assert {name: bars.attrs[name] for name in facts["key"]} == facts["key"]
    assert json.loads(json.dumps(bars.attrs)) == bars.attrs
    # Frames that pandas derives keep the attrs.
    assert bars["close"].tail(5).attrs["content_hash"] == facts["content_hash"]


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2025-01-01T02:00", "2025-01-01T05:00", [2, 3, 4]),
        ("2025-01-01T02:00:00.0001Z", "2025-01-01T04:00:00.0001Z", [3, 4]),
        ("2025-01-01T04:00+02:00", "2025-01-01T05:00+02:00", [2]),
        (datetime(2025, 1, 1, 7, tzinfo=UTC), None, [7, 8, 9]),
        (None, pd.Timestamp("2025-01-01T01:00"), [0]),
        ("2026-01-01", None, []),
        (None, "2024-01-01", []),
        ("2025", "2025-02", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("20250101T08", date(2025, 1, 2), [8, 9]),
        ("0001-01-01", "2025-01-01T01:00", [0]),
        ("2025-01-01T09:00", "9999-12-31", [9]),
    ],
)
def test_a_range_includes_its_start_and_excludes_its_end(
    tmp_path: Path, start: Any, end: Any, hours: list[int]
) -> None:
    write(tmp_path, 10)

    bars = load("BINANCE:BTCUSDT", start=start, end=end, folder=tmp_path)

    assert pd.DatetimeIndex(bars.index).hour.tolist() == hours


@pytest.mark.parametrize("row_group_size", [1, 7, 64, 1000])
def test_a_range_is_the_same_for_any_size_of_row_groups(
    tmp_path: Path, row_group_size: int
) -> None:
    write(tmp_path, 100)
    path = tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_100.parquet"
    whole = load("BINANCE:BTCUSDT", folder=tmp_path)
    pq.write_table(pq.read_table(path), path, row_group_size=row_group_size)

    for first, last in [(0, 100), (0, 1), (3, 17), (63, 65), (99, 100), (50, 50), (98, 100)]:
        bounds = [START + 3600 * hour for hour in (first, last)]
        start, end = (datetime.fromtimestamp(second, UTC) for second in bounds)
        bars = load("BINANCE:BTCUSDT", start=start, end=end, columns=["close"], folder=tmp_path)

        assert np.array_equal(bars["close"], whole["close"].iloc[first:last])


def test_an_end_before_the_start_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 10)

    with pytest.raises(InvalidRequest, match="lies before start"):
        load("BINANCE:BTCUSDT", start="2025-01-02", end="2025-01-01", folder=tmp_path)


def test_a_forming_bar_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    write(tmp_path, 10, last_bar_final=False)

    assert len(load("BINANCE:BTCUSDT", folder=tmp_path)) == 9
    assert len(load("BINANCE:BTCUSDT", closed=False, folder=tmp_path)) == 10
    assert len(load("BINANCE:BTCUSDT", n_bars=4, folder=tmp_path)) == 3
    assert len(load("BINANCE:BTCUSDT", end="2025-01-01T05:00", folder=tmp_path)) == 5


@pytest.mark.parametrize(
    ("fetched", "delay_s", "n_bars"),
    [("09:59", 0, 9), ("10:00", 0, 10), ("10:14", 900, 9), ("10:15", 900, 10)],
)
def test_a_last_bar_of_unknown_state_counts_only_when_its_time_was_over(
    tmp_path: Path, fetched: str, delay_s: int, n_bars: int
) -> None:
    fetched_at = datetime.fromisoformat(f"2025-01-01T{fetched}Z")
    instrument = Instrument(timezone="Etc/UTC", session_hours="24x7", delay_s=delay_s)
    write(tmp_path, 10, last_bar_final=None, fetched_at=fetched_at, instrument=instrument)

    assert len(load("BINANCE:BTCUSDT", folder=tmp_path)) == n_bars


def test_without_a_number_the_dataset_with_the_most_bars_is_taken(tmp_path: Path) -> None:
    write(tmp_path, 20)
    write(tmp_path, table=bars_table(30), n_bars=5000, is_limited=True)
    write(tmp_path, table=bars_table(25), n_bars=9000)

    assert load("BINANCE:BTCUSDT", folder=tmp_path).attrs["n_bars"] == 5000


def test_of_equal_datasets_the_one_fetched_last_is_taken(tmp_path: Path) -> None:
    write(tmp_path, 30, fetched_at=datetime(2025, 6, 3, tzinfo=UTC))
    write(tmp_path, table=bars_table(30), n_bars=5000, fetched_at=datetime(2025, 6, 2, tzinfo=UTC))

    assert load("BINANCE:BTCUSDT", folder=tmp_path).attrs["n_bars"] == 30


def test_a_number_of_bars_is_taken_from_the_next_larger_dataset(tmp_path: Path) -> None:
    write(tmp_path, 30)
    write(tmp_path, 60)

    exact = load("BINANCE:BTCUSDT", n_bars=30, folder=tmp_path)
    newest = load("BINANCE:BTCUSDT", n_bars=40, folder=tmp_path)

    assert (exact.attrs["n_bars"], len(exact)) == (30, 30)
    assert (newest.attrs["n_bars"], len(newest)) == (60, 40)
    assert newest.index[-1] == pd.Timestamp("2025-01-03T11:00Z")
    with pytest.raises(DatasetNotFound, match="with 61 bars is not among"):
        load("BINANCE:BTCUSDT", n_bars=61, folder=tmp_path)


def test_a_dataset_that_was_written_after_the_first_load_is_found(tmp_path: Path) -> None:
    write(tmp_path, 20)
    assert len(load("BINANCE:BTCUSDT", folder=tmp_path)) == 20

    write(tmp_path, 40)

    assert len(load("BINANCE:BTCUSDT", folder=tmp_path)) == 40


def test_a_missing_dataset_is_named_with_close_matches_and_the_fetch_command(
    tmp_path: Path,
) -> None:
    write(tmp_path, 20)
    write(tmp_path, 20, symbol="NASDAQ:AAPL", timeframe="1D")

    with pytest.raises(DatasetNotFound) as not_there:
        load("COINBASE:BTCUSDT", "1h", folder=tmp_path)
    with pytest.raises(DatasetNotFound) as misspelt:
        load("NASDAQ:APPL", "1h", n_bars=300, session="extended", folder=tmp_path)

    assert "COINBASE:BTCUSDT 1h is not among the 2 datasets" in str(not_there.value)
    assert "Close: BINANCE:BTCUSDT 1h with 20 bars." in str(not_there.value)
    assert str(not_there.value).endswith(
        "Fetch it: python manage.py fetch COINBASE:BTCUSDT -t 1h -n 5000"
    )
    assert "Close: NASDAQ:AAPL 1D with 20 bars." in str(misspelt.value)
    assert str(misspelt.value).endswith("NASDAQ:APPL -t 1h -n 300 --session extended")


def test_sample_bars_are_never_the_default(tmp_path: Path) -> None:
    write(tmp_path, 20, source="sample")

    with pytest.raises(DatasetNotFound, match=r"sources there: 'sample'.*source='sample'"):
        load("BINANCE:BTCUSDT", folder=tmp_path)

    assert load("BINANCE:BTCUSDT", source="sample", folder=tmp_path).attrs["source"] == "sample"
    with pytest.raises(DatasetNotFound, match="TV_SOURCE=sample python manage.py fetch X:Y"):
        load("X:Y", source="sample", folder=tmp_path)


def test_the_error_of_an_empty_folder_names_the_fetch_command(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match=r"nothing was fetched yet.* Fetch it: python manage"):
        load("BINANCE:BTCUSDT", folder=tmp_path)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_the_folder_is_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    write(tmp_path, 20)
    monkeypatch.setenv("OUTPUTS_URL", form.format(tmp_path))

    assert len(load("BINANCE:BTCUSDT")) == 20


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"folder": "gs://bucket/prefix"}, "folder"),
        ({"source": "../secret"}, "source"),
        ({"columns": ["Close"]}, "columns"),
        ({"as_": "pyarrow"}, "as_"),
        ({"unit": "s"}, "unit"),
        ({"start": 1_735_689_600}, "start"),
        ({"end": 1_735_689_600.5}, "end"),
        ({"start": "yesterday-ish"}, "start"),
        ({"end": "NaT"}, "end"),
        ({"start": "01/02/2025"}, "start"),
        ({"end": "12:00"}, "end"),
        ({"end": "now"}, "end"),
        ({"end": ""}, "end"),
        ({"n_bars": 0}, "n_bars"),
        ({"n_bars": "10"}, "n_bars"),
        ({"n_bars": 10.0}, "n_bars"),
        ({"n_bars": True}, "n_bars"),
        ({"session": "night"}, "session"),
        ({"fetch": "always"}, "fetch"),
        ({"timeframe": "25h"}, "timeframe"),
        ({"timeframe": 60}, "timeframe"),
        ({"lock": "no-such.lock"}, "lock"),
        ({"lock": "."}, "lock"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    write(tmp_path, 20)

    with pytest.raises(InvalidRequest) as refused:
        load("BINANCE:BTCUSDT", **{"folder": tmp_path} | options)

    assert list(refused.value.errors) == [field]


def test_a_symbol_without_its_exchange_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 20)

    with pytest.raises(InvalidRequest, match=r"'BTCUSDT' does not say which exchange; write it"):
        load("BTCUSDT", folder=tmp_path)


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    write(tmp_path, 20)

    bars = load("BINANCE:BTCUSDT", columns=["close_time", "close", "close"], folder=tmp_path)

    assert bars.columns.tolist() == ["close", "close_time"]
    assert (bars["close_time"] - bars.index == pd.Timedelta("1h")).all()


def test_a_missing_volume_is_not_zero(tmp_path: Path) -> None:
    write(tmp_path, table=bars_table(5, has_volume=False), n_bars=5)

    assert load("BINANCE:BTCUSDT", folder=tmp_path)["volume"].isna().all()
    assert load("BINANCE:BTCUSDT", as_="arrow", folder=tmp_path)["volume"].null_count == 5
    assert to_backtesting(load("BINANCE:BTCUSDT", folder=tmp_path)).columns.tolist() == [
        "Open", "High", "Low", "Close",
    ]  # fmt: skip


def test_the_forms_hold_the_same_bars(tmp_path: Path) -> None:
    write(tmp_path, 30)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    table = load("BINANCE:BTCUSDT", as_="arrow", folder=tmp_path)
    arrays = load("BINANCE:BTCUSDT", as_="numpy", folder=tmp_path)

    assert isinstance(table, pa.Table)
    assert table.column_names == list(BAR_COLUMNS)
    assert json.loads(table.schema.metadata[METADATA_KEY]) == bars.attrs
    assert list(arrays) == list(BAR_COLUMNS)
    assert arrays["time"].dtype == "datetime64[ms]"
    for name in bars.columns:
        assert np.array_equal(arrays[name], bars[name])
        assert np.array_equal(table[name].to_numpy(), bars[name])


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_have_the_wanted_unit(tmp_path: Path, unit: Literal["ms", "us", "ns"]) -> None:
    write(tmp_path, 20)
    options: dict[str, Any] = {"folder": tmp_path, "columns": ["close", "close_time"]}
    bars = load("BINANCE:BTCUSDT", unit=unit, **options)
    table = load("BINANCE:BTCUSDT", unit=unit, as_="arrow", **options)
    arrays = load("BINANCE:BTCUSDT", unit=unit, as_="numpy", **options)

    for name, column in bars.reset_index().items():
        if name != "close":
            assert str(column.dtype) == f"datetime64[{unit}, UTC]"
            assert table[str(name)].type == pa.timestamp(unit, tz="UTC")
            assert arrays[str(name)].dtype == np.dtype(f"M8[{unit}]")
    pd.testing.assert_frame_equal(
        bars.reset_index(), load("BINANCE:BTCUSDT", **options).reset_index(), check_dtype=False
    )
    pd.testing.assert_frame_equal(table.to_pandas(), bars.reset_index(), check_flags=False)


def test_times_in_microseconds_are_joined_with_the_times_of_pandas(tmp_path: Path) -> None:
    write(tmp_path, 20)
    news = pd.DataFrame({"time": pd.to_datetime(["2025-01-01T03:30Z"]), "value": [1.0]})

    bars = load("BINANCE:BTCUSDT", unit="us", folder=tmp_path).reset_index()

    assert pd.merge_asof(bars, news, on="time")["value"].count() == 16


def test_polars_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 30)
    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(InvalidRequest, match="pip install polars"):
        load("BINANCE:BTCUSDT", as_="polars", folder=tmp_path)


def test_polars_holds_the_same_bars(tmp_path: Path) -> None:
    require("polars")
    write(tmp_path, 30)

    frame = load("BINANCE:BTCUSDT", as_="polars", folder=tmp_path)

    assert frame.columns == list(BAR_COLUMNS)
    assert frame["close"].to_list() == load("BINANCE:BTCUSDT", folder=tmp_path)["close"].tolist()


def test_changed_bars_under_the_old_hash_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 30)
    path = tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_30.parquet"
    metadata = pq.read_schema(path).metadata
    table = bars_table(30, start=START + 3600).replace_schema_metadata(metadata)
    pq.write_table(table, path)

    with pytest.raises(FileCorrupt, match="does not hold the bars that were written"):
        load("BINANCE:BTCUSDT", columns=["close"], folder=tmp_path)


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 30)
    path = tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_30.parquet"
    path.rename(path.with_name("BINANCE_ETHUSDT_1h_30.parquet"))

    with pytest.raises(FileCorrupt, match="is the file of another dataset"):
        load("BINANCE:ETHUSDT", folder=tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all, but long enough"])
def test_a_file_that_is_no_dataset_is_refused(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, 30)
    (tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_30.parquet").write_bytes(content)

    with pytest.raises(FileCorrupt, match="no readable parquet file"):
        load("BINANCE:BTCUSDT", folder=tmp_path)
    assert catalog(folder=tmp_path)["state"].tolist() == ["corrupt"]


def test_the_catalog_has_a_row_for_each_dataset(tmp_path: Path) -> None:
    write(tmp_path, 30)
    instrument = Instrument(description="Apple Inc.", currency="USD")
    write(
        tmp_path, 20, symbol="NASDAQ:AAPL", timeframe="1D", source="sample", instrument=instrument
    )

    rows = catalog(folder=tmp_path)

    assert rows[["source", "full_symbol", "timeframe", "n_rows", "state"]].to_numpy().tolist() == [
        ["sample", "NASDAQ:AAPL", "1D", 20, "ready"],
        ["tradingview", "BINANCE:BTCUSDT", "1h", 30, "ready"],
    ]
    assert rows["description"][0] == "Apple Inc."
    assert rows["first_time"][1] == pd.Timestamp("2025-01-01T00:00Z")
    assert catalog(source="sample", folder=tmp_path)["full_symbol"].tolist() == ["NASDAQ:AAPL"]
    with pytest.raises(FolderUnavailable):
        catalog(folder=tmp_path / "empty")


def test_an_expression_is_found_by_its_text(tmp_path: Path) -> None:
    symbol = "BINANCE:BTCUSDT/BINANCE:ETHUSDT"
    write(tmp_path, 30, symbol=f"({symbol})")

    assert load(f"({symbol})", folder=tmp_path).attrs["full_symbol"] == f"({symbol})"
    with pytest.raises(DatasetNotFound, match=r"fetch '\(X:A\+X:B\)' -t 1h"):
        load("(X:A+X:B)", folder=tmp_path)


def test_converters_rename_columns_and_keep_the_numbers(tmp_path: Path) -> None:
    write(tmp_path, 30)
    bars = load(
        "BINANCE:BTCUSDT",
        columns=["open", "high", "low", "close", "volume", "close_time"],
        folder=tmp_path,
    )

    backtesting, vectorbt = to_backtesting(bars), to_vectorbt(bars)
    times, values = to_numpy(bars)

    assert backtesting.columns.tolist() == ["Open", "High", "Low", "Close", "Volume"]
    assert pd.DatetimeIndex(backtesting.index).tz_localize("UTC").equals(bars.index)
    assert vectorbt.index.equals(bars.index)
    assert values.shape == (30, 5)
    assert values.flags.c_contiguous
    assert np.array_equal(values[:, 3], bars["close"])
    assert times[1] == np.datetime64("2025-01-01T01:00")
    with pytest.raises(InvalidRequest, match="no column open"):
        to_backtesting(bars[["close"]])


def test_a_dataset_that_is_loaded_again_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    read = reader.read_unverified

    def count(*args: Any, **options: Any) -> pa.Table:
        counted.append(1)
        return read(*args, **options)

    monkeypatch.setattr(reader, "read_unverified", count)
    write(tmp_path, 30)

    first = load("BINANCE:BTCUSDT", folder=tmp_path)
    first.iloc[:, :] = -1.0
    again = load("BINANCE:BTCUSDT", columns=["close"], folder=tmp_path)
    assert counted == [1]
    assert (again["close"] > 0).all()

    write(tmp_path, table=bars_table(30, start=START + 3600), n_bars=30)
    replaced = load("BINANCE:BTCUSDT", folder=tmp_path)
    assert counted == [1, 1]
    assert replaced.index[0] == again.index[1]


def test_the_cache_of_tables_is_bounded_by_bytes_and_removes_the_least_recently_used() -> None:
    table = bars_table(100)
    tables: TableCache[int, pa.Table] = TableCache(max_bytes=3 * table.nbytes)

    for number in range(3):
        tables.add(number, table)
    tables.get(0)
    tables.add(3, table)
    tables.add(3, table)

    assert [number for number in range(4) if tables.get(number) is not None] == [0, 2, 3]
    tables.clear()
    assert tables.get(0) is None


# --- no look-ahead ------------------------------------------------------------------------

SYMBOLS = ["BINANCE:BTCUSDT", "NASDAQ:AAPL", "TSE:7203", "FX_IDC:EURUSD", "CME_MINI:ES1!"]
# In and out of trade, over Thanksgiving, a half day, and the days on which summer time changes.
INSTANTS = [
    datetime(2025, 3, 7, 20, 59, 30, tzinfo=UTC),
    datetime(2025, 3, 10, 13, 45, tzinfo=UTC),
    datetime(2025, 11, 3, 2, 17, tzinfo=UTC),
    datetime(2025, 11, 28, 18, 5, tzinfo=UTC),
    datetime(2025, 12, 1, 0, 0, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("timeframe", ["15", "4h", "1D", "1W"])
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_later_loads_repeat_the_bars_that_were_loaded_at_an_instant(
    tmp_path: Path, symbol: str, timeframe: str
) -> None:
    """Later bars never change the closed bars of a fetch, and these bars were all over."""
    for number, now in enumerate(INSTANTS):
        # A folder for each instant: in one folder, the newest dataset with enough bars would answer.
        folder = tmp_path / str(number)
        where: dict[str, Any] = {"source": "sample", "folder": folder}
        write_sample(folder, symbol, timeframe, 30, now=now)
        then = load(symbol, timeframe, n_bars=30, **where)

        write_sample(folder, symbol, timeframe, 1500, now=now + timedelta(days=15))
        write_sample(folder, symbol, "5", 6000, now=now + timedelta(days=15))
        later = load(symbol, timeframe, n_bars=1500, **where)
        minutes = load(symbol, "5", **where)

        pd.testing.assert_frame_equal(then, later.loc[then.index])
        # No trade after the fetch belongs to a bar that counted as closed.
        after = minutes.index[minutes.index > now - timedelta(minutes=5)][0]
        assert later.index[later.index <= after][-1] > then.index[-1]
