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
    read_rows,
    times_of,
    to_ms,
)
from datasets.storage.archives.series_document import FileEntry, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder, concatenated

# Largest error that we expect of the clock of a machine that fetched, in ms.
_CLOCK_ERROR_MS = 86_400_000


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
    n_bars: int | None = None,
    as_of: datetime | None = None,
) -> ArchivedBars:
    """Return the bars that open from `start` (inclusive) to `end` (exclusive).

    Parameters
    ----------
    folder
        The folder of the series.
    start, end
        Aware instants; None for the oldest and for the newest bar.
    n_bars
        Only the newest bars of the range. Older bars are then not decoded, so the cost does not
        depend on how many there are.
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
    if as_of is not None:
        return _read_as_of(folder, first_ms, last_ms, n_bars, as_of)
    return _read_present(folder, first_ms, last_ms, n_bars)


def read_newest(
    folder: SeriesFolder, n_bars: int, *, as_of: datetime | None = None
) -> ArchivedBars:
    """Return the newest `n_bars` bars, or all where there are fewer; otherwise as `read_range`."""
    return read_range(folder, n_bars=n_bars, as_of=as_of)


def _read_present(
    folder: SeriesFolder, first_ms: int | None, last_ms: int | None, n_bars: int | None
) -> ArchivedBars:
    with folder.opened(lambda found: _within(found.files, first_ms, last_ms, n_bars)) as snapshot:
        if n_bars is None:
            tables = [read_rows(file, SEEN_SCHEMA, first_ms, last_ms) for file in snapshot.files]
            return ArchivedBars(concatenated(tables, SEEN_SCHEMA), snapshot.document)
        newest: list[pa.Table] = []
        missing = n_bars
        for file in reversed(snapshot.files):
            newest.insert(0, read_rows(file, SEEN_SCHEMA, first_ms, last_ms, missing))
            missing -= newest[0].num_rows
            if not missing:
                break
        return ArchivedBars(concatenated(newest, SEEN_SCHEMA), snapshot.document)


def _read_as_of(
    folder: SeriesFolder,
    first_ms: int | None,
    last_ms: int | None,
    n_bars: int | None,
    as_of: datetime,
) -> ArchivedBars:
    with folder.opened(lambda found: found.revision_files) as snapshot:
        document = snapshot.document
        generation = document.generation_at(as_of)
        replaced = _replaced_later(snapshot.files, generation.number, as_of, first_ms, last_ms)
    is_present = generation == document.generation
    place = folder if is_present else folder.earlier(generation.number)
    n_read = n_bars
    if n_bars is not None:
        # A bar that opened later was not received yet. Without this bound an early instant
        # would decode all bars since.
        latest_ms = to_ms(as_of) + _CLOCK_ERROR_MS
        last_ms = latest_ms if last_ms is None else min(last_ms, latest_ms)
    while True:
        present = _read_present(place, first_ms, last_ms, n_read)
        if is_present and present.document.sequence != document.sequence:
            # A writer was in between: bars could be missing on both sides.
            return _read_as_of(folder, first_ms, last_ms, n_bars, as_of)
        is_whole = n_read is None or present.rows.num_rows < n_read
        since_ms = first_ms if is_whole else int(times_of(present.rows)[0])
        rows = _known_rows(present.rows, replaced, as_of, since_ms)
        if n_bars is None or n_read is None:
            return ArchivedBars(rows, document)
        if is_whole or rows.num_rows >= n_bars:
            return ArchivedBars(rows.slice(max(0, rows.num_rows - n_bars)), document)
        # Some of the newest bars were not known yet.
        n_read *= 4


def _known_rows(
    present: pa.Table, replaced: pa.Table, as_of: datetime, since_ms: int | None
) -> pa.Table:
    """Return the rows of `as_of` that open at `since_ms` or later: those held since, and those replaced later."""
    known = present.filter(pa.array(times_of(present, "seen_at") <= to_ms(as_of)))
    if since_ms is not None:
        replaced = replaced.filter(pa.array(times_of(replaced) >= since_ms))
    # Rows that were replaced later stand in place of the present ones of the same time.
    kept = known.filter(pa.array(~np.isin(times_of(known), times_of(replaced))))
    rows = concatenated([kept, replaced.select(SEEN_SCHEMA.names)], SEEN_SCHEMA)
    return rows.sort_by("time")


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
    files: Sequence[FileEntry], first_ms: int | None, last_ms: int | None, n_bars: int | None
) -> list[FileEntry]:
    """Return the files that can hold bars from `first_ms` to `last_ms`, or the newest `n_bars` of them."""
    chosen: list[FileEntry] = []
    n_found = 0
    for entry in reversed(files):
        if entry.first_time is None or entry.last_time is None:
            continue
        if last_ms is not None and to_ms(entry.first_time) > last_ms:
            continue
        is_early = first_ms is not None and to_ms(entry.last_time) < first_ms
        if is_early or (n_bars is not None and n_found >= n_bars):
            break
        chosen.insert(0, entry)
        # Of a file that `last_ms` cuts, the number of bars is not known.
        is_whole = last_ms is None or to_ms(entry.last_time) <= last_ms
        n_found += entry.n_rows if is_whole else 0
    return chosen


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
