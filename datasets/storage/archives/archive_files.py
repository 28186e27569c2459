"""Parquet files of an archive: columns, metadata, hashes, and the reading of a range of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.bars import BAR_COLUMNS, BAR_SCHEMA, content_hash
from datasets.bars.series_keys import SeriesKey
from datasets.errors import FileCorrupt
from datasets.storage.archives.series_document import FileEntry

METADATA_KEY = b"tradingview_archive"
METADATA_FORMAT = 1
# A range of 1,000 bars decodes one or two groups, whatever the file holds.
ROWS_PER_GROUP = 16_384
# More groups than this are decoded on all cores.
_MOST_GROUPS_ALONE = 8

_INSTANT = BAR_SCHEMA.field("time").type
_NAME = pa.dictionary(pa.int32(), pa.string())

# Bars with the instant at which their values were first received.
SEEN_SCHEMA = BAR_SCHEMA.append(pa.field("seen_at", _INSTANT, nullable=False))
# The columns of `{year}.parquet`.
ARCHIVE_SCHEMA = SEEN_SCHEMA.append(pa.field("symbol", _NAME, nullable=False)).append(
    pa.field("timeframe", _NAME, nullable=False)
)
# Bars that left the archive, or never entered it. They were served from `seen_at` until
# `superseded_at`; the two are equal for bars that were never served.
REVISION_SCHEMA = pa.schema(
    [
        *SEEN_SCHEMA,
        pa.field("superseded_at", _INSTANT, nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
        pa.field("generation", pa.int32(), nullable=False),
        pa.field("is_final", pa.bool_(), nullable=False),
    ]
)


def file_hash(rows: pa.Table, facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a file's rows and of the facts in its metadata.

    The first columns of `rows` are those of `SEEN_SCHEMA`. The hash of what was read from a
    file is the hash that was written, so that damage is found.
    """
    digest = hashlib.sha256(b"archive-1" + content_hash(rows.select(BAR_COLUMNS)).encode())
    for name in rows.column_names[len(BAR_COLUMNS) :]:
        column = rows[name]
        if pa.types.is_timestamp(column.type):
            digest.update(column.cast(pa.int64()).to_numpy().astype("<i8", copy=False).data)
        else:
            digest.update(json.dumps(column.to_pylist()).encode())
    digest.update(_document(facts))
    return digest.hexdigest()


def entry_of(name: str, rows: pa.Table, hash_found: str, size: int) -> FileEntry:
    """Return the entry of a file in the series' document."""
    times = rows["time"]
    first, last = (times[0].as_py(), times[-1].as_py()) if len(times) else (None, None)
    return FileEntry(name, hash_found, rows.num_rows, size, first, last)


def write_rows(file: BinaryIO, rows: pa.Table, key: SeriesKey, facts: Mapping[str, Any]) -> int:
    """Write bars with `SEEN_SCHEMA` as a year's file; return its size in bytes."""
    for name, value in (("symbol", key.full_symbol), ("timeframe", key.timeframe.value)):
        indices = np.zeros(rows.num_rows, dtype=np.int32)
        column = pa.DictionaryArray.from_arrays(indices, pa.array([value]))
        rows = rows.append_column(ARCHIVE_SCHEMA.field(name), column)
    return _write(file, rows, facts, with_dictionary=["symbol", "timeframe"])


def write_revisions(file: BinaryIO, rows: pa.Table, facts: Mapping[str, Any]) -> int:
    """Write rows with `REVISION_SCHEMA`; return the size of the file in bytes."""
    return _write(file, rows, facts, with_dictionary=["reason"])


def _write(
    file: BinaryIO, rows: pa.Table, facts: Mapping[str, Any], *, with_dictionary: Any
) -> int:
    document = _document({"format": METADATA_FORMAT, **facts})
    instants = [each.name for each in rows.schema if pa.types.is_timestamp(each.type)]
    pq.write_table(
        rows.replace_schema_metadata({METADATA_KEY: document}),
        file,
        compression="zstd",
        use_dictionary=with_dictionary,
        row_group_size=ROWS_PER_GROUP,
        # Evenly spaced instants take a tenth of the room, and less time both ways.
        column_encoding=dict.fromkeys(instants, "DELTA_BINARY_PACKED"),
        # Queries skip row groups by these columns; prices of one series rarely narrow a search.
        write_statistics=[*instants, *with_dictionary],
        write_page_checksum=True,
    )
    return file.tell()


def _document(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()


def facts_in(file: pq.ParquetFile, name: str) -> dict[str, Any]:
    """Return the facts in a file's metadata; raise `FileCorrupt` where there are none."""
    metadata = file.schema_arrow.metadata or {}
    try:
        facts: dict[str, Any] = json.loads(metadata[METADATA_KEY])
        if facts["format"] != METADATA_FORMAT:
            raise ValueError("unknown format")
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{name} does not say which series it belongs to.") from error
    return facts


def read_rows(
    file: pq.ParquetFile,
    schema: pa.Schema,
    first_ms: int | None = None,
    last_ms: int | None = None,
    n_rows: int | None = None,
) -> pa.Table:
    """Return the file's rows that open from `first_ms` to `last_ms`, both inclusive, UNIX ms.

    With `n_rows` only the newest of them. Only the row groups that can hold such rows are
    decoded; their checksums are verified. Raises `FileCorrupt`.
    """
    groups = _groups_between(file, first_ms, last_ms)
    if n_rows is not None:
        groups = _newest_groups(file, groups, n_rows, last_ms)
    try:
        rows = file.read_row_groups(
            groups, columns=schema.names, use_threads=len(groups) > _MOST_GROUPS_ALONE
        )
        rows = pa.Table.from_arrays(rows.columns, schema=schema)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise FileCorrupt("A file of the archive cannot be read to its end.") from error
    if first_ms is not None or last_ms is not None:
        times = times_of(rows)
        start = 0 if first_ms is None else int(np.searchsorted(times, first_ms))
        end = len(times) if last_ms is None else int(np.searchsorted(times, last_ms, "right"))
        rows = rows.slice(start, max(0, end - start))
    return rows if n_rows is None else rows.slice(max(0, rows.num_rows - n_rows))


def _groups_between(file: pq.ParquetFile, first_ms: int | None, last_ms: int | None) -> list[int]:
    everything = range(file.metadata.num_row_groups)
    if first_ms is None and last_ms is None:
        return list(everything)
    found = []
    for number in everything:
        bounds = group_bounds(file, number)
        is_late = bounds is not None and last_ms is not None and bounds[0] > last_ms
        is_early = bounds is not None and first_ms is not None and bounds[1] < first_ms
        if not (is_late or is_early):
            found.append(number)
    return found


def _newest_groups(
    file: pq.ParquetFile, groups: list[int], n_rows: int, last_ms: int | None
) -> list[int]:
    """Return the last of the groups, enough for `n_rows` rows up to `last_ms`."""
    first, n_found = len(groups), 0
    while first and n_found < n_rows:
        first -= 1
        bounds = group_bounds(file, groups[first])
        # Of a group that `last_ms` cuts, the number of rows is not known.
        is_whole = last_ms is None or (bounds is not None and bounds[1] <= last_ms)
        n_found += file.metadata.row_group(groups[first]).num_rows if is_whole else 0
    return groups[first:]


def group_bounds(file: pq.ParquetFile, number: int) -> tuple[int, int] | None:
    """Return the first and the last opening in a row group, UNIX ms; None where not stated."""
    statistics = file.metadata.row_group(number).column(0).statistics
    if statistics is None or statistics.min is None or statistics.max is None:
        return None
    return to_ms(statistics.min), to_ms(statistics.max)


def times_of(rows: pa.Table, name: str = "time") -> npt.NDArray[np.int64]:
    """Return a column of instants as UNIX milliseconds, shape (n,)."""
    times: npt.NDArray[np.int64] = rows[name].cast(pa.int64()).to_numpy()
    return times


def to_ms(instant: datetime) -> int:
    """Return an aware instant as UNIX milliseconds."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def from_ms(milliseconds: int) -> datetime:
    """Return UNIX milliseconds as an aware instant in UTC."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(
        microsecond=milliseconds % 1000 * 1000
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
