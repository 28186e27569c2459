"""`outputs/catalog.parquet`: the rows of series and datasets as one table for SQL engines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db.models import Count, Max, Sum

from datasets.bars import KEY_FIELDS, join_symbol
from datasets.bars.series_keys import SERIES_FIELDS
from datasets.catalog.adoption import require_folders
from datasets.catalog.bulk.row_order import in_pages
from datasets.catalog.outputs import get_store
from datasets.errors import StoreError
from datasets.models import Dataset, Series
from datasets.storage import FolderStore, atomic_write
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.atomic_write import store_failures, temporary_file

NAME = "catalog.parquet"
_STATE_KEY = b"catalog_state"
_ROWS_AT_ONCE = 10_000
# A little less than the minute between two looks of one worker.
_LEAST_AGE_S = 55.0
_INSTANT = pa.timestamp("ms", tz="UTC")
_FACTS = ("type", "currency", "description", "timezone", "session_hours")

_FIELDS: list[pa.Field[Any]] = [
    # `series` or `dataset`.
    pa.field("kind", pa.string(), nullable=False),
    pa.field("id", pa.int64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    # As in the archive's files, such as `NASDAQ:AAPL`; its two parts follow.
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("exchange", pa.string(), nullable=False),
    pa.field("code", pa.string(), nullable=False),
    pa.field("timeframe", pa.string(), nullable=False),
    pa.field("session", pa.string(), nullable=False),
    pa.field("adjustment", pa.string(), nullable=False),
    # Null for a series.
    pa.field("n_bars", pa.int64()),
    pa.field("n_rows", pa.int64(), nullable=False),
    pa.field("first_time", _INSTANT, nullable=False),
    pa.field("last_time", _INSTANT, nullable=False),
    pa.field("last_bar_final", pa.bool_()),
    pa.field("fetched_at", _INSTANT, nullable=False),
    pa.field("bytes", pa.int64(), nullable=False),
    # Relative to the outputs folder: a dataset's file, or a pattern for a series' files.
    pa.field("path", pa.string(), nullable=False),
    # Null for a series.
    pa.field("state", pa.string()),
    pa.field("content_hash", pa.string()),
    pa.field("is_pinned", pa.bool_()),
    # Null for a dataset.
    pa.field("generation", pa.int64()),
    pa.field("n_holes", pa.int64()),
    *(pa.field(name, pa.string(), nullable=False) for name in _FACTS),
]
SCHEMA = pa.schema(_FIELDS)
_SHARED = (
    "source", "timeframe", "session", "adjustment", "n_rows", "first_time", "last_time",
    "last_bar_final", "fetched_at", "bytes",
)  # fmt: skip
_OF_DATASET = ("n_bars", "state", "content_hash", "is_pinned")
_OF_SERIES = ("generation", "n_holes")


def write_if_changed() -> bool:
    """Write `catalog.parquet` unless it has the present rows; return whether it was written.

    Several workers look once a minute each, so a file that one of them has just written stays.
    A reader sees the old file or the new file, never a part. Raises `StoreFailed`,
    `StoreUnavailable` while the disk with the outputs is away, and errors of the database.
    """
    path: Path = settings.OUTPUTS_DIR / NAME
    store = get_store()
    is_folder = isinstance(store, FolderStore)
    with suppress(OSError):
        # A clock that was set back does not stop the writing.
        if is_folder and 0 <= time.time() - path.stat().st_mtime < _LEAST_AGE_S:
            return False
    state = _state()
    # A file that cannot be read is written again.
    with suppress(StoreError, OSError, pa.ArrowException):
        if (pq.read_schema(store.read_beside(NAME)).metadata or {}).get(_STATE_KEY) == state:
            return False
    # Otherwise the file would be written to the mount point of a disk that is away.
    require_folders()
    schema = SCHEMA.with_metadata({_STATE_KEY: state})
    folder = path.parent if is_folder else settings.STATE_DIR
    with store_failures(path), temporary_file(folder) as (temporary, file):
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for rows in _pages(_rows()):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        file.flush()
        store.put_beside(NAME, temporary)
    return True


def remove_strays() -> None:
    """Remove temporary files of dead writers beside `catalog.parquet`. Raises `OSError`."""
    atomic_write.remove_strays(settings.OUTPUTS_DIR.glob(".*.tmp"))


def _state() -> bytes:
    """Return a text that changes with the rows; hits and reads do not change it."""
    datasets = Dataset.objects.order_by().values("state", "is_pinned").annotate(
        n=Count("pk"), ids=Sum("pk"), bytes=Sum("bytes"), version=Max("version"), newest=Max("fetched_at")
    )  # fmt: skip
    series = Series.objects.aggregate(
        n=Count("pk"), ids=Sum("pk"), versions=Sum("sequence"), newest=Max("fetched_at")
    )
    groups = sorted(datasets, key=lambda row: (row["state"], row["is_pinned"]))
    return json.dumps([SCHEMA.to_string(), groups, series], default=str).encode()


def _rows() -> Iterator[dict[str, Any]]:
    for series in in_pages(Series.objects.all(), SERIES_FIELDS, _ROWS_AT_ONCE):
        pattern = f"archive/{relative_folder(series.series_key)}/*.parquet"
        yield _row(series, "series", _OF_SERIES) | {"path": pattern}
    for dataset in in_pages(Dataset.objects.all(), KEY_FIELDS, _ROWS_AT_ONCE):
        yield _row(dataset, "dataset", _OF_DATASET) | {"path": f"datasets/{dataset.path}"}


def _row(row: Series | Dataset, kind: str, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in (*_SHARED, *names)}
    facts = {name: str(row.instrument.get(name) or "") for name in _FACTS}
    symbol = join_symbol(row.exchange, row.symbol)
    names_of = {"symbol": symbol, "exchange": row.exchange, "code": row.symbol}
    return {"kind": kind, "id": row.pk} | values | names_of | facts


def _pages(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows in pages of `_ROWS_AT_ONCE`; at least one page, which may be empty."""
    page: list[dict[str, Any]] = []
    for row in rows:
        page.append(row)
        if len(page) == _ROWS_AT_ONCE:
            yield page
            page = []
    yield page
