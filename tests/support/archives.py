"""Archives for tests: merges into a folder, their whole content, and a crash at any change of the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.archive.plans import MergePlan
from datasets.archive.preparation import prepared
from datasets.bars import BAR_COLUMNS, FetchedBars, Instrument, make_table
from datasets.bars.series_keys import SeriesKey
from datasets.storage.archives.archive_paths import GENERATIONS, relative_folder
from datasets.storage.archives.archive_places import Archives, FolderArchives
from datasets.storage.archives.archive_queries import read_range, read_revisions
from datasets.storage.archives.series_document import SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder
from tests.support.factories import a_key, fetched_bars

# The last days of a year, so that hours fall into two files.
FIRST_HOUR = int(datetime(2024, 12, 30, tzinfo=UTC).timestamp())
FIRST_FETCH = datetime(2025, 6, 1, tzinfo=UTC)
AAPL = Instrument(
    pro_name="NASDAQ:AAPL", full_name="NASDAQ:AAPL", currency="USD", pricescale=100, minmov=1
)

Row = tuple[Any, ...]


def bars_of(
    rows: dict[int, tuple[float, float, float, float, float]],
    *,
    first: int = FIRST_HOUR,
    step: int = 3600,
) -> pa.Table:
    """Return a table of bars: prices and volume by the number of the hour."""
    values = [(first + step * hour, *rows[hour]) for hour in sorted(rows)]
    return make_table(np.array(values, dtype=float), has_volume=np.ones(len(values), dtype=bool))


def plain_bars(hours: range, *, level: float = 100.0) -> pa.Table:
    """Return bars of these hours, of two decimals, each with prices of its own."""
    return bars_of({hour: plain_bar(hour, level) for hour in hours})


def plain_bar(hour: int, level: float = 100.0) -> tuple[float, float, float, float, float]:
    """Return prices and volume of one hour."""
    opens, close = level + hour % 17 * 0.37, level + (hour + 1) % 17 * 0.37
    prices = (opens, max(opens, close) + 0.11, min(opens, close) - 0.13, close)
    return (*(round(price, 2) for price in prices), 1000.0 + hour)  # type: ignore[return-value]


def changed(table: pa.Table, row: int, **values: float) -> pa.Table:
    """Return the table with other values in one row."""
    for name, value in values.items():
        column = table[name].to_pylist()
        column[row] = value
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(column, pa.float64()))
    return table


def scaled(table: pa.Table, factor: float, *, volume_factor: float = 1.0) -> pa.Table:
    """Return the table with other prices, as after a split."""
    for name in BAR_COLUMNS[1:]:
        by = volume_factor if name == "volume" else factor
        values = np.round(table[name].to_numpy() * by, 6)
        table = table.set_column(
            table.column_names.index(name), table.schema.field(name), pa.array(values)
        )
    return table


class Archive:
    """The archive of one series in a folder of a test, or in another place."""

    def __init__(self, root: Path, *, place: Archives | None = None, **key: Any) -> None:
        self.root = root
        self.key = SeriesKey.of(a_key(**({"symbol": "AAPL", "exchange": "NASDAQ"} | key)))
        self.place = place or FolderArchives(root)
        self.folder = self.place.folder(relative_folder(self.key))
        self.now = FIRST_FETCH

    def merge(
        self, table: pa.Table, *, after: timedelta = timedelta(days=1), is_whole_window: bool = True,
        **reply: Any,
    ) -> MergePlan:  # fmt: skip
        """Merge bars that were fetched some time after the last ones; return the plan."""
        self.now += after
        fetched = self.fetched(table, **reply)
        with prepared(self.place, self.key, fetched, is_whole_window=is_whole_window) as new:
            new.commit()
        return new.plan

    def fetched(self, table: pa.Table, **reply: Any) -> FetchedBars:
        """Return the bars as a reply of this moment."""
        return fetched_bars(table, **({"fetched_at": self.now, "instrument": AAPL} | reply))

    @property
    def document(self) -> SeriesDocument:
        document = self.folder.document()
        assert document is not None
        return document

    def bars(self, **query: Any) -> pa.Table:
        """Return the bars of a range, without the instants at which they were seen."""
        return read_range(self.folder, **query).rows.select(BAR_COLUMNS)

    def revisions(self) -> list[dict[str, Any]]:
        return read_revisions(self.folder).to_pylist()

    def kept(self) -> set[Row]:
        """Return every row that is anywhere in the folder: archive, revisions, earlier generations."""
        return kept_rows(self.folder)

    def in_glob(self) -> list[Row]:
        """Return the rows that `archive/*/*/*.parquet` has, as a table for SQL."""
        paths = sorted(self.root.glob("*/*/*.parquet"))
        return [row for path in paths for row in rows_of(pq.read_table(path).select(BAR_COLUMNS))]


def kept_rows(folder: SeriesFolder) -> set[Row]:
    """Return every row that is anywhere in the folder: archive, revisions, earlier generations."""
    tables = [read_range(folder).rows, read_revisions(folder)]
    for path in (folder.path / GENERATIONS).glob("*"):
        with suppress(ValueError):
            earlier = folder.earlier(int(path.name))
            if earlier.document() is not None:
                tables.append(read_range(earlier).rows)
    return {row for table in tables for row in rows_of(table.select(BAR_COLUMNS))}


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows as tuples."""
    return list(zip(*(table[name].to_pylist() for name in BAR_COLUMNS), strict=True))


def final_rows(fetched: FetchedBars) -> set[Row]:
    """Return the rows of a reply that the feed called final."""
    table = fetched.table
    return set(rows_of(table if fetched.last_bar_final else table.slice(0, table.num_rows - 1)))


class Crash(BaseException):
    """The process dies here: nothing after it changes the disk any more."""


# Every call by which our code and the standard library change the disk.
_CHANGES = ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync")


@contextmanager
def crash_at(number: int) -> Iterator[None]:
    """Let the process die at its change of the disk with this number; even ones happen first."""
    n_changes = 0

    def dying(name: str) -> Any:
        real = getattr(os, name)

        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal n_changes
            if n_changes > number:
                raise Crash
            n_changes += 1
            if n_changes > number:
                if number % 2 == 0:
                    real(*arguments, **options)
                raise Crash
            return real(*arguments, **options)

        return change

    with mock.patch.multiple(os, **{name: dying(name) for name in _CHANGES}):
        yield


def without(instrument: Instrument, **changes: Any) -> Instrument:
    """Return an instrument with other facts."""
    return replace(instrument, **changes)
