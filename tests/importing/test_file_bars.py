"""Files of bars: their columns, times and numbers, and the wrong lines that are named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.bars import IMPORTED, FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.errors import InvalidRequest
from datasets.importing import file_bars, file_rows
from datasets.importing.file_bars import read_file
from tests.support.factories import a_key, bars_table

NOW = datetime(2025, 6, 1, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
HEADER = "time,open,high,low,close,volume"
LINES = ["2024-01-02T14:00:00Z,10,12,9,11,100", "2024-01-02T15:00:00Z,11,13,10,12,0"]

Read = Callable[..., FetchedBars]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads lines as a CSV file, or a table as a parquet file."""

    def read_bars(
        content: list[str] | pa.Table,
        *,
        header: str = HEADER,
        timeframe: str = "1h",
        **options: Any,
    ) -> FetchedBars:
        path = tmp_path / "bars.dat"
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_text("\n".join([header, *content]), encoding="utf-8")
        key = SeriesKey.of(a_key(source=IMPORTED, timeframe=timeframe))
        return read_file(path, key, **({"now": NOW} | options))

    return read_bars


def refusal(read: Read, *arguments: Any, **options: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidRequest) as caught:
        read(*arguments, **options)
    return caught.value.errors


def times(fetched: FetchedBars) -> list[str]:
    return [f"{time:%Y-%m-%d %H:%M}" for time in fetched.table["time"].to_pylist()]


def test_bars_of_a_csv_file_come_in_the_order_of_time(read: Read) -> None:
    fetched = read([*reversed(LINES), ""])

    assert times(fetched) == ["2024-01-02 14:00", "2024-01-02 15:00"]
    assert fetched.table.drop(["time"]).to_pylist()[0] == {
        "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.0,
    }  # fmt: skip
    assert fetched.last_bar_final
    assert (fetched.instrument.description, fetched.fetched_at) == ("Imported from bars.dat", NOW)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("Date;Time;Open;High;Low;Close", "2024.01.02;14:00;10;12;9;11"),
        ("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>", "2024.01.02\t14:00:00\t10\t12\t9\t11\t7\t0"),
        ("\ufefftimestamp,o,h,l,c,v", "1704204000,10,12,9,11,"),
        ("Open time,Open,High,Low,Close,Base volume,Close time", "1704204000000,10,12,9,11,5.5,1704207599999"),
        ("Gmt time,Open,High,Low,Close,Volume", "2024-01-02T15:00+01:00,1e1,12.0,9,11,NaN"),
    ],
)  # fmt: skip
def test_usual_headers_and_times_are_found(read: Read, header: str, line: str) -> None:
    fetched = read([line], header=header, zone=ZoneInfo("UTC"))

    assert times(fetched) == ["2024-01-02 14:00"]
    assert fetched.table["close"].to_pylist() == [11.0]


def test_columns_can_be_named(read: Read) -> None:
    header = "when,first,most,least,final,close,size"
    named = {"time": "when", "open": "first", "high": "most", "low": "least", "close": "final", "volume": "size"}  # fmt: skip

    fetched = read(["1704204000,10,12,9,11,99,5"], header=header, named_columns=named)

    assert fetched.table.to_pylist()[0]["close"] == 11.0
    assert refusal(read, LINES, header=header) == {
        "columns": [
            "There is no column of the time, such as 'time'. The file's first line has "
            "'when', 'first', 'most', 'least', 'final', 'close', 'size'; name the column."
        ]
    }
    assert "no column 'Vol.'" in str(refusal(read, LINES, named_columns={"volume": "Vol."}))
    assert "'open' twice" in str(refusal(read, [], header="time,open,high,low,close,open"))


def test_a_file_without_volume_has_none(read: Read) -> None:
    fetched = read(["1704204000,10,12,9,11"], header="time,open,high,low,close")

    assert fetched.table["volume"].to_pylist() == [None]
    assert not fetched.instrument.has_volume


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_files_of_other_programs_are_read(read: Read, unit: str) -> None:
    index = pd.DatetimeIndex(["2024-01-02 09:00", "2024-01-02 10:00"], tz=NEW_YORK, name="Date")
    frame = pd.DataFrame(
        {"Open": [1, 2], "High": [2, 3], "Low": [1, 2], "Close": [2, 3], "Volume": [5, None]},
        index=index.as_unit(unit),  # type: ignore[arg-type]
    )

    fetched = read(pa.Table.from_pandas(frame))

    assert times(fetched) == ["2024-01-02 14:00", "2024-01-02 15:00"]
    assert fetched.table["volume"].to_pylist() == [5.0, None]


def test_the_own_file_of_a_dataset_can_be_imported(read: Read) -> None:
    table = bars_table(300)

    assert read(table).table.equals(table)


def test_days_are_midnights_of_the_zone(read: Read) -> None:
    columns: dict[str, list[Any]] = {name: [1, 1] for name in ("open", "high", "low", "close")}
    days = pa.table({"date": [date(2024, 1, 2), date(2024, 7, 2)]} | columns)

    assert times(read(days, timeframe="1D", zone=NEW_YORK)) == [
        "2024-01-02 05:00", "2024-07-02 04:00",
    ]  # fmt: skip


def test_times_without_an_offset_need_a_zone(read: Read) -> None:
    assert refusal(read, [LINES[0].replace("Z", "")]) == {
        "time_zone": [
            "Line 2 has the time '2024-01-02T14:00:00' without a UTC offset, so its instant is unknown. "
            "Name the file's time zone, such as UTC or America/New_York."
        ]
    }


def test_each_wrong_line_is_named_with_its_column_value_and_what_is_allowed(read: Read) -> None:
    lines = [
        "2024-01-02T14:00:00Z,10,12,9,11,100",
        "02/01/2024 15:00,10,12,9,11,100",
        "2024-01-02T16:00:00Z,ten,12,9,11,100",
        "2024-01-02T17:00:00Z,10,,9,11,-1",
        "2024-01-02T18:00:00Z,10,8,9,11,100",
        "2024-01-02T14:00:00Z,10,12,9,11,100",
        "2024-01-02T19:00:30Z,10,12,9,11,100",
        "2031-01-02T19:00:00Z,10,12,9,11,100",
        "2024-01-02T20:00:00Z,10,12,9,11",
        "2024-01-02T21:00:00Z,1_0,inf,1e100,11,100",
    ]

    found = refusal(read, lines)["file"]

    assert found[0] == "9 lines are wrong in bars.dat, so nothing was imported."
    expected = [
        "Line 3 has '02/01/2024 15:00' in the column 'time': write ISO 8601",
        "Line 4 has 'ten' in the column 'open': write a number such as 1234.5",
        "Line 5 has '' in the column 'high': a bar has all four prices; has '-1' in the column 'volume': a volume is 0 or more.",
        "Line 6 has '8' in the column 'high': it is below the low, 9",
        "Line 7 has '2024-01-02T14:00:00Z' in the column 'time': line 2 has the same time",
        "Line 8 has '2024-01-02T19:00:30Z' in the column 'time': bars of 1h open at whole minutes",
        "Line 9 has '2031-01-02T19:00:00Z' in the column 'time': 2031-01-02T19:00:00Z is later than this machine's clock",
        "Line 10 has 5 columns, and the first line has 6",
        "Line 11 has '1_0' in the column 'open'",
    ]  # fmt: skip
    assert [line.startswith(text) for line, text in zip(found[1:], expected, strict=True)] == [
        True
    ] * 9


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("20240102", "can be a day or seconds"),
        ("1704204000000000000", "UNIX seconds, or UNIX milliseconds"),
        ("1704204000.5", "ISO 8601"),
        ("1704204000001", "whole seconds"),
        ("2024-03-10 02:30", "never show this time"),
        ("2024-11-03 01:30", "show this time twice"),
        ("tomorrow", "ISO 8601"),
        ("", "ISO 8601"),
    ],
)
def test_a_time_with_two_meanings_or_none_is_refused(read: Read, time: str, why: str) -> None:
    assert why in refusal(read, [f"{time},10,12,9,11,1"], zone=NEW_YORK)["file"][1]


def test_seconds_and_milliseconds_are_not_mixed(read: Read) -> None:
    lines = ["1704204000,10,12,9,11,1", "1704207600000,10,12,9,11,1"]

    assert "earlier lines are in seconds" in refusal(read, lines)["file"][1]


def test_a_bound_of_wrong_lines_is_listed_and_the_rest_are_counted(read: Read) -> None:
    found = refusal(read, [f"x{number},1,1,1,1,1" for number in range(500)])["file"]

    assert len(found) == file_bars.MOST_NAMED + 2
    assert (found[0][:20], found[-1]) == ("500 lines are wrong ", "480 more lines are wrong.")


def test_bars_of_another_length_are_refused(read: Read) -> None:
    table = bars_table(50, step=300)

    assert refusal(read, table) == {
        "timeframe": [
            "The bars open 5 minutes apart, so they are no bars of 1h; name their timeframe."
        ]
    }


def test_a_bar_that_has_not_closed_is_not_final(read: Read) -> None:
    now = datetime(2024, 1, 2, 15, 59, tzinfo=UTC)

    assert not read(LINES, now=now).last_bar_final


def test_files_of_other_kinds_are_refused(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = tmp_path / "bars", SeriesKey.of(a_key(source=IMPORTED))
    for content, why in (
        (b"PAR1 and nothing else", "no readable parquet file"),
        (b"\x1f\x8b\x08\xff\xfe", "neither parquet nor a text file"),
        (b"", "no column of the time"),
        (HEADER.encode(), "has no bars"),
    ):
        path.write_bytes(content)
        with pytest.raises(InvalidRequest, match=why):
            read_file(path, key, now=NOW)
    with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
        read_file(tmp_path / "absent", key, now=NOW)
    monkeypatch.setattr(file_rows, "MAX_ROWS", 299)
    monkeypatch.setattr(file_bars, "MAX_ROWS", 1)
    assert "more than 299 bars" in str(refusal(read, bars_table(300)))
    assert "Split it by time" in str(refusal(read, LINES))
