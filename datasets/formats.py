"""Bars as bytes for a reader: pure functions of a table with `BAR_SCHEMA`.

Every format holds the same numbers bit for bit; a volume that is not there is null in
JSON and Arrow, and empty in CSV. No pandas: a cold reply of 5,000 bars is a few ms.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.bars import BAR_COLUMNS

_IN_UTC = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def unix_seconds(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return each bar's opening instant in whole UNIX seconds."""
    milliseconds: npt.NDArray[np.int64] = table["time"].cast(pa.int64()).to_numpy()
    return milliseconds // 1000


def iso_times(table: pa.Table) -> list[str]:
    """Return each bar's opening instant as ISO 8601 in UTC, such as `2025-01-01T00:00:00Z`."""
    times: list[str] = orjson.loads(_column_json(table, "time"))
    return times


def _column_json(table: pa.Table, name: str) -> bytes:
    """Return the column as a JSON list; a volume that is not there is null."""
    if name == "time":
        seconds = unix_seconds(table).astype("datetime64[s]")
        return orjson.dumps(seconds, option=_IN_UTC)
    # Null becomes NaN, which orjson writes as null; bars hold no NaN of their own.
    numbers = np.ascontiguousarray(table[name].to_numpy(zero_copy_only=False))
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)


def rows_json(table: pa.Table) -> bytes:
    """Return the bars as a JSON list of objects, times in ISO 8601.

    Column by column, as making an object for each bar would take three times as long.
    """
    names, n_rows = table.column_names, table.num_rows
    if not n_rows:
        return b"[]"
    # For each bar and column what comes before the value, and the value.
    pieces = [b""] * (2 * len(names) * n_rows)
    for index, name in enumerate(names):
        before = f'{"," if index else "},{"}"{name}":'.encode()
        pieces[2 * index :: 2 * len(names)] = [before] * n_rows
        pieces[2 * index + 1 :: 2 * len(names)] = _column_json(table, name)[1:-1].split(b",")
    return b"[" + b"".join(pieces)[2:] + b"}]"


def columns_json(table: pa.Table) -> bytes:
    """Return the bars as a JSON object of one list a column, times in whole UNIX seconds."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        if name == "time":
            columns[name] = unix_seconds(table)
        elif table[name].null_count:
            columns[name] = table[name].to_pylist()
        else:
            columns[name] = table[name].to_numpy()
    return orjson.dumps(columns, option=orjson.OPT_SERIALIZE_NUMPY)


def csv_text(table: pa.Table) -> bytes:
    """Return the bars as CSV with a heading, times in ISO 8601; shortest exact numbers."""
    times = iso_times(table) if "time" in table.column_names else []
    return _csv(table, times, separator=",", decimal=".")


def spreadsheet_csv(table: pa.Table) -> bytes:
    """Return the bars as CSV with times that Excel and Google Sheets read as dates: UTC, without a zone."""
    return _csv(table, _spreadsheet_times(table), separator=",", decimal=".")


def comma_spreadsheet_csv(table: pa.Table) -> bytes:
    """Return `spreadsheet_csv` for countries with a decimal comma; semicolons separate the columns."""
    return _csv(table, _spreadsheet_times(table), separator=";", decimal=",")


def _csv(table: pa.Table, times: Sequence[str], *, separator: str, decimal: str) -> bytes:
    columns = [
        times if name == "time" else _csv_numbers(table[name].to_pylist(), decimal)
        for name in table.column_names
    ]
    rows = zip(*columns, strict=True)
    lines = [separator.join(table.column_names), *map(separator.join, rows), ""]
    return "\n".join(lines).encode()


def _spreadsheet_times(table: pa.Table) -> list[str]:
    if "time" not in table.column_names:
        return []
    # The only spelling of date and time that a spreadsheet reads in each country.
    return [text.replace("T", " ").removesuffix("Z") for text in iso_times(table)]


def _csv_numbers(numbers: list[float | None], decimal: str) -> list[str]:
    texts = ["" if number is None else repr(number) for number in numbers]
    return texts if decimal == "." else [text.replace(".", decimal) for text in texts]


def arrow_stream(table: pa.Table) -> bytes:
    """Return the bars as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parquet_file(table: pa.Table) -> bytes:
    """Return the bars as a parquet file of the kind that the store writes."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return sink.getvalue()


# Metadata of an Arrow table or a parquet file that holds the bars of a reply: the reply's other keys, as JSON.
REPLY_KEY = b"tradingview_reply"


@dataclass(frozen=True, slots=True)
class Format:
    """One representation of bars.

    Parameters
    ----------
    name
        The value of the API's parameter `format` and of the command's `--format`.
    media_type
        The reply's `Content-Type`, and the type that `Accept` can name; of several formats with
        one type `Accept` means the first.
    suffix
        The ending of a file, without the dot.
    label
        The text of a page's download link; pages offer no link where it is empty.
    render
        Returns the bytes of a table with columns of `BAR_SCHEMA`.
    has_envelope
        The reply carries more than the bars (`symbol`, `count`, …).
    is_text
        False for Arrow and parquet, which gzip does not make smaller: parquet is compressed
        already, and Arrow is read without a copy.
    """

    name: str
    media_type: str
    suffix: str
    label: str
    render: Callable[[pa.Table], bytes]
    has_envelope: bool = False
    is_text: bool = True


# The only table of formats: the API, its schema, the pages, the command and the tests read it.
FORMATS = {
    row.name: row
    for row in [
        Format("json", "application/json", "json", "JSON", rows_json, has_envelope=True),
        Format("columns", "application/json", "json", "", columns_json, has_envelope=True),
        Format("csv", "text/csv", "csv", "CSV", csv_text),
        Format("arrow", "application/vnd.apache.arrow.stream", "arrow", "Arrow", arrow_stream, is_text=False),
        Format("parquet", "application/vnd.apache.parquet", "parquet", "Parquet", parquet_file, is_text=False),
        Format("spreadsheet", "text/csv", "csv", "", spreadsheet_csv),
        Format("spreadsheet_comma", "text/csv", "csv", "", comma_spreadsheet_csv),
    ]
}  # fmt: skip


def file_formats() -> list[Format]:
    """Return the formats that hold nothing but bars, so that a file of them is complete."""
    return [row for row in FORMATS.values() if not row.has_envelope]


def choose_columns(fields: Sequence[str]) -> list[str]:
    """Return the columns in the contract's order; all for an empty choice."""
    return [name for name in BAR_COLUMNS if name in fields] if fields else list(BAR_COLUMNS)
