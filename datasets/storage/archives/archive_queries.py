"""Bars of a series' archive: a range, the newest bars, and both as they were known at an instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    SEEN_SCHEMA,
    group_bounds,
    read_rows,
    times_of,
    to_ms,
)
from datasets.storage.archives.series_document import FileEntry, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder, concatenated


@dataclass(frozen=True, slots=True)
class ArchivedBars:
    """Bars of an archive, with the state of the series that they were read from.

    `rows` has `SEEN_SCHEMA`, oldest bar first: the columns of bars, and `seen_at`, the instant
    (UTC, ms) at which the row's values were first received.
    """

    rows: pa.Table
    document: SeriesDocument


def read_range(
    folder: SeriesFolder,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    as_of: datetime | None = None,
) -> ArchivedBars:
    """Return the bars that open from `start` (inclusive) to `end` (exclusive).

    Parameters
    ----------
    folder
        The folder of the series.
    start, end
        Aware instants; None for the oldest and for the newest bar.
    as_of
        An aware instant: the bars as the archive gave them at that instant. A bar that the
        archive received later is absent, and a bar that was replaced later has its earlier
        values.

    Returns
    -------
    ArchivedBars
        0 or more rows, each time once.

    Raises
    ------
    FileMissing
        Nothing was archived, or nothing yet at `as_of`, or a file was deleted by hand.
    FileCorrupt
        A file does not hold the bars that were written.
    StoreFailed
        The machine does not permit the reading.
    """
    first_ms = None if start is None else to_ms(start)
    last_ms = None if end is None else to_ms(end) - 1
    if as_of is None:
        with folder.opened(lambda found: _within(found.files, first_ms, last_ms)) as snapshot:
            tables = [read_rows(file, SEEN_SCHEMA, first_ms, last_ms) for file in snapshot.files]
            return ArchivedBars(concatenated(tables, SEEN_SCHEMA), snapshot.document)
    with folder.opened(lambda found: found.revision_files) as snapshot:
        document = snapshot.document
        generation = document.generation_at(as_of)
        replaced = _replaced_later(snapshot.files, generation.number, as_of, first_ms, last_ms)
    if generation != document.generation:
        present = read_range(folder.earlier(generation.number), start, end)
    else:
        present = read_range(folder, start, end)
        if present.document.sequence != document.sequence:
            # A writer was in between: bars could be missing on both sides.
            return read_range(folder, start, end, as_of=as_of)
    known = present.rows.filter(pa.array(times_of(present.rows, "seen_at") <= to_ms(as_of)))
    # Rows that were replaced later stand in place of the present ones of the same time.
    kept = known.filter(pa.array(~np.isin(times_of(known), times_of(replaced))))
    rows = concatenated([kept, replaced.select(SEEN_SCHEMA.names)], SEEN_SCHEMA).sort_by("time")
    return ArchivedBars(rows, document)


def read_newest(
    folder: SeriesFolder, n_bars: int, *, as_of: datetime | None = None
) -> ArchivedBars:
    """Return the newest `n_bars` bars, or all where there are fewer; otherwise as `read_range`."""
    if as_of is not None:
        found = read_range(folder, as_of=as_of)
        return ArchivedBars(_last(found.rows, n_bars), found.document)
    with folder.opened(lambda found: found.newest_files(n_bars)) as snapshot:
        tables: list[pa.Table] = []
        missing = n_bars
        for file in reversed(snapshot.files):
            # Only the row groups of the last bars are decoded.
            group, held = file.metadata.num_row_groups, 0
            while group and held < missing:
                group -= 1
                held += file.metadata.row_group(group).num_rows
            bounds = group_bounds(file, group) if group else None
            rows = read_rows(file, SEEN_SCHEMA, None if bounds is None else bounds[0])
            tables.insert(0, _last(rows, missing))
            missing -= tables[0].num_rows
        return ArchivedBars(concatenated(tables, SEEN_SCHEMA), snapshot.document)


def forming_at(folder: SeriesFolder, as_of: datetime) -> set[int]:
    """Return the openings, UNIX ms, of bars that were not final when they were last received before `as_of`.

    A bar that closed later without any change is not among them. Errors as for `read_range`.
    """
    document = folder.document()
    rows = read_revisions(folder)
    instant = to_ms(as_of)
    served = times_of(rows, "seen_at") <= instant
    served &= times_of(rows, "superseded_at") > instant
    served &= ~np.asarray(rows["is_final"].to_pylist(), dtype=bool)
    found = set(times_of(rows)[served].tolist())
    forming = () if document is None else document.forming
    return found | {to_ms(time) for time in forming}


def read_revisions(folder: SeriesFolder) -> pa.Table:
    """Return all rows with `REVISION_SCHEMA` that left the archive or never entered it."""
    with folder.opened(lambda found: found.revision_files) as snapshot:
        return concatenated(
            [read_rows(file, REVISION_SCHEMA) for file in snapshot.files], REVISION_SCHEMA
        )


def _within(
    files: Sequence[FileEntry], first_ms: int | None, last_ms: int | None
) -> list[FileEntry]:
    """Return the files that can hold bars from `first_ms` to `last_ms`."""
    return [
        entry
        for entry in files
        if entry.first_time is not None
        and entry.last_time is not None
        and (last_ms is None or to_ms(entry.first_time) <= last_ms)
        and (first_ms is None or to_ms(entry.last_time) >= first_ms)
    ]


def _last(rows: pa.Table, n_rows: int) -> pa.Table:
    return rows.slice(max(0, rows.num_rows - n_rows))


def _replaced_later(
    files: Sequence[pq.ParquetFile],
    generation: int,
    as_of: datetime,
    first_ms: int | None,
    last_ms: int | None,
) -> pa.Table:
    """Return the rows, by time, that were served at `as_of` and replaced or removed later."""
    found = concatenated([read_rows(file, REVISION_SCHEMA) for file in files], REVISION_SCHEMA)
    instant = to_ms(as_of)
    served = times_of(found, "seen_at") <= instant
    served &= times_of(found, "superseded_at") > instant
    served &= found["generation"].to_numpy() == generation
    found = found.filter(pa.array(served))
    # Of two rows of one time the one that was replaced first was the one that was served.
    found = found.sort_by([("time", "ascending"), ("superseded_at", "ascending")])
    times = times_of(found)
    is_first = np.append(np.ones(min(len(times), 1), dtype=bool), times[1:] != times[:-1])
    low = -np.inf if first_ms is None else first_ms
    high = np.inf if last_ms is None else last_ms
    chosen: pa.Table = found.filter(pa.array(is_first & (times >= low) & (times <= high)))
    return chosen
