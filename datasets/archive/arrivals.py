"""Arrival of a fetch: its bars merged into the archive, and the datasets of the series as views of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from datasets.archive.conversion import convert_datasets
from datasets.archive.preparation import PreparedArchive, prepared
from datasets.archive.series_rows import archive_root, lock_datasets, record_series
from datasets.bars import BAR_COLUMNS, DatasetKey, FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import contradictions, gap_reports, invalidation
from datasets.catalog.outputs import get_store
from datasets.catalog.records import record_row
from datasets.errors import StoreFailed
from datasets.models import Dataset
from datasets.storage import PreparedFile
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_newest

logger = logging.getLogger(__name__)


class RecordedArrival(NamedTuple):
    """The rows of an arrival: primary keys, and the number of bars of its dataset."""

    dataset_id: int
    series_id: int
    n_rows: int


@dataclass(frozen=True, slots=True)
class PreparedArrival:
    """A fetch whose files are written and synced: the archive, its dataset, and the other views."""

    key: DatasetKey
    archive: PreparedArchive
    own: PreparedFile
    views: dict[int, PreparedFile]
    contradicted: list[Dataset]
    report: dict[str, Any]

    def put_in_place(self, *, fetch_id: int | None = None) -> RecordedArrival:
        """Put all files in place and record them.

        The caller has a transaction open. Raises `StoreFailed` when the dataset is pinned, or a
        file cannot be renamed.
        """
        rows = lock_datasets(SeriesKey.of(self.key))
        if any(row.n_bars == self.key.n_bars and row.is_pinned for row in rows):
            raise StoreFailed(
                f"{self.key} was pinned meanwhile and is not replaced; unpin it to fetch it."
            )
        ready = {row.pk for row in rows if row.state == Dataset.State.READY and not row.is_pinned}
        self.archive.commit()
        series_id = record_series(
            self.archive.document, self.archive.plan.records, fetch_id=fetch_id
        )
        stored = self.own.put_in_place()
        dataset_id = record_row(stored, self.report, series_id=series_id)
        for number, file in self.views.items():
            if number in ready:
                record_row(file.put_in_place(), series_id=series_id)
        for dataset in self.contradicted:
            invalidation.supersede(get_store(), dataset)
        return RecordedArrival(dataset_id, series_id, stored.facts.n_rows)


@contextmanager
def prepared_arrival(
    key: DatasetKey, fetched: FetchedBars, *, is_whole_window: bool
) -> Iterator[PreparedArrival]:
    """Merge a fetch of the dataset `key`, and write all files that change beside their places.

    In the block, `put_in_place` puts them in place. Errors as for `preparation.prepared`.
    """
    store, series = get_store(), SeriesKey.of(key)
    # Before a view replaces the file of a dataset that was fetched before there were archives.
    for finding in convert_datasets(series):
        if finding.outcome != "ok":
            logger.warning("dataset %s was not archived: %s", finding.path, finding.detail)
    with ExitStack() as stack:
        archive = stack.enter_context(
            prepared(archive_root(), series, fetched, is_whole_window=is_whole_window)
        )
        others = Dataset.objects.filter(
            **series.as_dict(), state=Dataset.State.READY, is_pinned=False
        ).exclude(n_bars=key.n_bars)
        own = view_of(archive, fetched, key.n_bars)
        # A short fetch after a long pause leaves a hole before it; the larger datasets then stay
        # as they are until they are fetched themselves.
        has_hole = bool(archive.document.holes) and not archive.plan.begins_generation
        views = {}
        for row in others:
            view = view_of(archive, fetched, row.n_bars)
            if not has_hole or view.table.num_rows >= min(row.n_bars, row.n_rows):
                views[row.pk] = stack.enter_context(store.prepared(row.key, view))
        contradicted = contradictions.find_contradicted(
            store, key, own.table, own.last_bar_final, but_for=views
        )
        file = stack.enter_context(store.prepared(key, own))
        report = gap_reports.make_report(key, own.instrument, own.table, own.fetched_at)
        yield PreparedArrival(key, archive, file, views, contradicted, report)


def view_of(archive: PreparedArchive, fetched: FetchedBars, n_bars: int) -> FetchedBars:
    """Return the newest `n_bars` bars of the archive, as a reply for a dataset's file.

    Bars before the archive's last hole are left out: a dataset has no hole that it does not state.
    """
    document = archive.document
    rows = read_newest(archive.folder, n_bars).rows
    if document.holes:
        rows = rows.filter(times_of(rows) >= to_ms(document.holes[-1].before))
    is_newest = document.last_time == fetched.table["time"][-1].as_py()
    return replace(
        fetched,
        table=rows.select(BAR_COLUMNS).combine_chunks(),
        instrument=document.instrument,
        fetched_at=max(document.fetched_at, fetched.fetched_at),
        last_bar_final=fetched.last_bar_final if is_newest else document.is_last_final,
        is_limited=fetched.is_limited and rows.num_rows < n_bars,
    )
