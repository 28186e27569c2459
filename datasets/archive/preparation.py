"""Preparation of a merge: the new files of a series' archive, written and synced before they count. No Django."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from datasets.archive.generations import joined, rescaled
from datasets.archive.merging import plan_first, plan_merge
from datasets.archive.plans import Arrival, MergePlan, together
from datasets.archive.sides import Integers
from datasets.archive.spans import Span, clipped, spans_of, with_span
from datasets.bars import FetchedBars, Timeframe
from datasets.bars.series_keys import SeriesKey
from datasets.errors import StoreFailed
from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    SEEN_SCHEMA,
    from_ms,
    times_of,
)
from datasets.storage.archives.archive_paths import file_name, relative_folder
from datasets.storage.archives.archive_places import Archives
from datasets.storage.archives.archive_queries import read_range, read_revisions
from datasets.storage.archives.series_document import FileEntry, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.storage.archives.series_writer import SeriesWriter, writing


class PreparedArchive:
    """The new state of a series' archive, written and not yet in force.

    `folder` reads the new state, before and after `commit`.
    """

    def __init__(self, writer: SeriesWriter, plan: MergePlan, document: SeriesDocument) -> None:
        self.plan = plan
        self.document = document
        self.folder: SeriesFolder = _NewState(writer.folder, document)
        self._writer = writer

    def commit(self) -> None:
        """Put the new state in force in one step. Raises `StoreFailed`."""
        self._writer.commit()


class _NewState(SeriesFolder):
    """The folder of a series, read as a document says that is not in force yet."""

    def __init__(self, folder: SeriesFolder, document: SeriesDocument) -> None:
        super().__init__(folder.path, folder.files)
        self._document = document

    def document(self) -> SeriesDocument:
        return self._document


@contextmanager
def prepared(
    archives: Archives, key: SeriesKey, fetched: FetchedBars, *, is_whole_window: bool
) -> Iterator[PreparedArchive]:
    """Merge a fetch into the archive of its series, up to the step that puts it in force.

    Parameters
    ----------
    archives
        All archives, such as those of `outputs/archive`.
    key, fetched
        The series, and the bars that arrived.
    is_whole_window
        Whether the feed has no older bars for us than those of the fetch.

    In the block, `commit` puts the new state in force; a block that ends without it leaves the
    old state. The series is locked until the end of the block, so that a second fetch of the
    series waits and is merged with the result of this one.

    Raises
    ------
    WindowNeeded
        The basis of the prices has changed, and the fetch is not the whole window.
    StoreFailed
        A file could not be written, or a bar would have been lost. Nothing was changed.
    StoreError
        A file of the archive that has to be written anew is missing or corrupt.
    """

    def make_plan(writer: SeriesWriter) -> MergePlan:
        document, folder = writer.document, writer.folder
        if document is None:
            return plan_first(key, fetched)
        times = times_of(fetched.table)
        held = read_range(folder, from_ms(int(times[0])), from_ms(int(times[-1]) + 1)).rows
        is_late = fetched.fetched_at < document.fetched_at
        revisions = REVISION_SCHEMA.empty_table()
        if document.disputes or document.refused or is_late:
            revisions = read_revisions(folder)
        arrival = Arrival(fetched, document, held, revisions)
        plan = plan_merge(arrival, is_whole_window=is_whole_window)
        if not plan.confirmed:
            return plan
        covered = with_span(spans_of(document), (from_ms(int(times[0])), from_ms(int(times[-1]))))
        return with_older_bars(folder, plan, covered, arrival.at)

    with prepared_plan(archives, key, make_plan) as archive:
        yield archive


@contextmanager
def prepared_plan(
    archives: Archives, key: SeriesKey, make_plan: Callable[[SeriesWriter], MergePlan]
) -> Iterator[PreparedArchive]:
    """Write the files of a plan, up to the step that puts them in force; otherwise as `prepared`.

    `make_plan` is called with the series locked.
    """
    with writing(archives.folder(relative_folder(key))) as writer:
        plan = make_plan(writer)
        document = _stage(writer, plan)
        writer.prepare(document)
        yield PreparedArchive(writer, plan, document)


def with_older_bars(
    folder: SeriesFolder, plan: MergePlan, spans: Sequence[Span], at: datetime
) -> MergePlan:
    """Return the plan with the confirmed bars of earlier generations, in the present basis from `at` on.

    `spans` are those that the present generation covers after the plan.
    """
    older, start = [], None
    for piece in plan.confirmed:
        found = read_range(folder.earlier(piece.generation), start, piece.before)
        older_spans = clipped(spans_of(found.document), start, piece.before)
        older.append((rescaled(found.rows, piece.basis, at), older_spans))
        start = piece.before
    return joined(plan, spans, older)


def _stage(writer: SeriesWriter, plan: MergePlan) -> SeriesDocument:
    """Write the files of the new state; return its document with their entries.

    Raises `StoreFailed` where a bar would be lost.
    """
    entries: dict[str, FileEntry] = {}
    if plan.begins_generation:
        writer.keep_generation()
    elif writer.document is not None:
        entries = {entry.name: entry for entry in writer.document.files}
    key, facts = plan.document.key, plan.document.file_facts
    added_years = _years(times_of(plan.added), key.timeframe)
    removed_years = _years(plan.removed, key.timeframe)
    for year in np.union1d(added_years, removed_years).tolist():
        added = plan.added.filter(pa.array(added_years == year))
        removed = plan.removed[removed_years == year]
        some = added["time"][0].as_py() if added.num_rows else from_ms(int(removed[0]))
        name = file_name(some, key.timeframe)
        held = writer.read_held(entries[name]) if name in entries else SEEN_SCHEMA.empty_table()
        # Bars before the first change stay as they are, without a copy: a year has 525,600 minutes.
        first = min([*times_of(added)[:1].tolist(), *removed.tolist()])
        cut = int(np.searchsorted(times_of(held), first))
        later = held.slice(cut)
        kept = later.filter(pa.array(~np.isin(times_of(later), removed)))
        rows = pa.concat_tables([held.slice(0, cut), together([kept, added], SEEN_SCHEMA)])
        n_expected = held.num_rows - len(np.unique(removed)) + added.num_rows
        if rows.num_rows != n_expected or np.any(np.diff(times_of(rows)) <= 0):
            raise _loss()
        if rows.num_rows:
            entries[name] = writer.stage_rows(name, rows, key, facts)
        else:
            del entries[name]
    if not np.isin(plan.removed, times_of(plan.superseded)).all():
        raise _loss()
    return replace(
        plan.document,
        files=tuple(entries[name] for name in sorted(entries)),
        revision_files=writer.stage_revisions(plan.superseded, plan.records, key),
    )


def _years(times: Integers, timeframe: Timeframe) -> Integers:
    """Return the year of each opening in UTC, all alike where one file holds all years."""
    if not timeframe.is_intraday:
        return np.zeros(len(times), dtype=np.int64)
    return times.view("M8[ms]").astype("M8[Y]").astype(np.int64)


def _loss() -> StoreFailed:
    return StoreFailed(
        "The fetched bars could not be merged into the archive without losing bars, so nothing was written. "
        "Please report this with the series' name; the archive is as it was."
    )
