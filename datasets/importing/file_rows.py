"""Rows of a CSV or parquet file, with their line numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from datasets.bars import BAR_COLUMNS
from datasets.errors import FileCorrupt, FileMissing, InvalidRequest, StoreFailed
from datasets.importing.columns import find_columns
from datasets.storage.parquet_file import MAX_ROWS, open_parquet

_PARQUET = b"PAR1"
_DELIMITERS = ",;\t|"


class FileRow(NamedTuple):
    """One line of a file: its number, and its values in the order of `BAR_COLUMNS`.

    Values of a CSV file are texts. `problem` is a sentence where the line has no values.
    """

    line: int
    values: list[Any]
    problem: str = ""


class FileRows(NamedTuple):
    """The rows of a file, and the file's own names of the columns in the order of `BAR_COLUMNS`."""

    headers: list[str]
    rows: Iterator[FileRow]


@contextmanager
def open_rows(path: Path, named: Mapping[str, str], *, name: str) -> Iterator[FileRows]:
    """Open a file of bars; its content decides whether it is parquet or CSV.

    `named` is as for `find_columns`; `name` is the file's name for messages. The first line of a CSV file has the names of the columns
    and is line 1; the first row of a parquet file is line 1. Raises `InvalidRequest` for a file
    that cannot be read.
    """
    with ExitStack() as stack:
        try:
            with path.open("rb") as file:
                is_parquet = file.read(len(_PARQUET)) == _PARQUET
        except OSError as error:
            raise _unreadable(f"{name} cannot be read: {error.strerror}.") from error
        read = _parquet_rows if is_parquet else _csv_rows
        yield stack.enter_context(read(path, named, name))


@contextmanager
def _csv_rows(path: Path, named: Mapping[str, str], name: str) -> Iterator[FileRows]:
    # Some programs begin a file with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            first = file.readline(100_000)
            delimiter = max(_DELIMITERS, key=first.count)
            headers = next(csv.reader([first], delimiter=delimiter), [])
            places = find_columns([header.strip() for header in headers], named)
            yield FileRows(
                _names(headers, places),
                _read_lines(csv.reader(file, delimiter=delimiter), len(headers), places),
            )
        except UnicodeDecodeError as error:
            raise _unreadable(f"{name} is neither parquet nor a text file in UTF-8.") from error
        except csv.Error as error:
            raise _unreadable(f"{name} is no readable CSV file: {error}.") from error


def _read_lines(lines: Any, n_columns: int, places: Mapping[str, list[int]]) -> Iterator[FileRow]:
    columns = [places.get(name, []) for name in BAR_COLUMNS]
    for fields in lines:
        number = lines.line_num + 1
        if not any(fields):
            continue
        if len(fields) != n_columns:
            problem = f"has {len(fields)} columns, and the first line has {n_columns}"
            yield FileRow(number, [], problem)
            continue
        values = [
            # A date and a time are one text.
            fields[at[0]].strip()
            if len(at) == 1
            else " ".join(fields[place].strip() for place in at)
            for at in columns
        ]
        yield FileRow(number, values)


@contextmanager
def _parquet_rows(path: Path, named: Mapping[str, str], name: str) -> Iterator[FileRows]:
    try:
        with open_parquet(path) as file:
            # Before anything is decoded: a small file can hold millions of equal rows.
            if file.metadata.num_rows > MAX_ROWS:
                raise too_long(name)
            headers = file.schema_arrow.names
            places = find_columns(headers, named)
            table = file.read(
                columns=[headers[place] for column in places for place in places[column]]
            )
    except (FileCorrupt, FileMissing, StoreFailed, pa.ArrowException, OSError) as error:
        raise _unreadable(f"{name} is no readable parquet file.") from error
    absent = [None] * table.num_rows
    columns = []
    for column in BAR_COLUMNS:
        parts = [table[headers[place]].to_pylist() for place in places.get(column, ())] or [absent]
        is_one = len(parts) == 1
        columns.append(
            parts[0] if is_one else [" ".join(map(str, each)) for each in zip(*parts, strict=True)]
        )
    rows = enumerate(zip(*columns, strict=True), start=1)
    yield FileRows(
        _names(headers, places), (FileRow(number, list(values)) for number, values in rows)
    )


def _names(headers: list[str], places: Mapping[str, list[int]]) -> list[str]:
    return [
        " ".join(headers[place].strip() for place in places.get(name, ())) or name
        for name in BAR_COLUMNS
    ]


def too_long(name: str) -> InvalidRequest:
    """Return the error for a file with too many bars."""
    return _unreadable(
        f"{name} has more than {MAX_ROWS:,} bars. Split it by time, and import the parts one after another."
    )


def _unreadable(sentence: str) -> InvalidRequest:
    return InvalidRequest({"file": [sentence]})
