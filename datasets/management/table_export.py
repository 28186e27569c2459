"""`datasets export --layout table`: the archive as one table in few large files, sorted for SQL engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_SCHEMA, Timeframe
from datasets.errors import StoreError, StoreFailed
from datasets.models import Series
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_range

# Large groups make scans of all symbols fast; a group has few symbols, so one is found fast too.
ROWS_PER_GROUP = 500_000
GROUPS_PER_FILE = 20

_NAME = pa.dictionary(pa.int32(), pa.string())
_KEY_FIELDS = ("symbol", "timeframe", "session", "adjustment")
SCHEMA = pa.schema(
    [
        *(pa.field(name, _NAME, nullable=False) for name in _KEY_FIELDS),
        *BAR_SCHEMA,
        pa.field("seen_at", BAR_SCHEMA.field("time").type, nullable=False),
        pa.field("is_final", pa.bool_(), nullable=False),
    ]
)
_LENGTHS = {timeframe.value: place for place, timeframe in enumerate(Timeframe)}


def export_table(
    chosen: Iterable[Series], folder: Path, on_refusal: Callable[[Series, Exception], None]
) -> list[Series]:
    """Write the bars of the series to `folder/{source}/bars-000.parquet` and so on.

    Parameters
    ----------
    chosen
        The series.
    folder
        The target. Files `bars-*.parquet` of an earlier export are replaced.
    on_refusal
        Called for a series whose archive cannot be read; the others are exported.

    Returns
    -------
    list of Series
        The exported series. The rows have `SCHEMA` and are sorted by symbol, length of the bars,
        session, adjustment and time. Times are UTC.

    Raises
    ------
    OSError
        The folder cannot be written to; files of an earlier export are then unchanged.
    """
    done: list[Series] = []

    def bars_of(rows: Iterable[Series]) -> Iterator[pa.Table]:
        for series in rows:
            try:
                yield _table_of(series)
            except (StoreError, StoreFailed) as error:
                on_refusal(series, error)
            else:
                done.append(series)

    for source, rows in groupby(sorted(chosen, key=_place), key=lambda series: series.source):
        target = folder / source
        target.mkdir(parents=True, exist_ok=True)
        _write(target, bars_of(rows))
    return done


def _place(series: Series) -> tuple[Any, ...]:
    symbol, length = series.series_key.full_symbol, _LENGTHS[series.timeframe]
    return (series.source, symbol, length, series.session, series.adjustment)


def _table_of(series: Series) -> pa.Table:
    found = read_range(folder_of(series.series_key))
    rows, key = found.rows, found.document.key
    names = key.as_dict() | {"symbol": key.full_symbol}
    indices = np.zeros(rows.num_rows, dtype=np.int32)
    columns = [
        pa.DictionaryArray.from_arrays(indices, pa.array([names[name]])) for name in _KEY_FIELDS
    ]
    forming = np.array([to_ms(each) for each in found.document.forming], dtype=np.int64)
    is_final = pa.array(~np.isin(times_of(rows), forming))
    return pa.Table.from_arrays([*columns, *rows.columns, is_final], schema=SCHEMA)


def _write(folder: Path, tables: Iterator[pa.Table]) -> None:
    """Write the tables as files, and rename all of them when the last one is complete."""
    unfinished: list[Path] = []
    writer: pq.ParquetWriter | None = None
    try:
        for number, group in enumerate(_row_groups(tables)):
            if number % GROUPS_PER_FILE == 0:
                if writer is not None:
                    writer.close()
                unfinished.append(folder / f".{uuid4().hex}.part")
                writer = pq.ParquetWriter(unfinished[-1], SCHEMA, compression="zstd")
            assert writer is not None
            writer.write_table(group, row_group_size=ROWS_PER_GROUP)
        if writer is not None:
            writer.close()
        names = [f"bars-{number:03}.parquet" for number in range(len(unfinished))]
        for path, name in zip(unfinished, names, strict=True):
            path.replace(folder / name)
        for earlier in folder.glob("bars-*.parquet"):
            if earlier.name not in names:
                earlier.unlink()
    finally:
        if writer is not None:
            with suppress(OSError, pa.ArrowException):
                writer.close()
        for path in unfinished:
            path.unlink(missing_ok=True)


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of all tables in order, `ROWS_PER_GROUP` at a time, the rest last."""
    held: list[pa.Table] = []
    n_held = 0
    for table in tables:
        held.append(table)
        n_held += table.num_rows
        while n_held >= ROWS_PER_GROUP:
            rows = pa.concat_tables(held)
            yield rows.slice(0, ROWS_PER_GROUP).unify_dictionaries()
            held = [rows.slice(ROWS_PER_GROUP)]
            n_held -= ROWS_PER_GROUP
    if n_held:
        yield pa.concat_tables(held).unify_dictionaries()
