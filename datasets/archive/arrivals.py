"""Arrival of a fetch: its bars merged into the archive, and the datasets of the series as views of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from datasets.archive.conversion import convert_datasets
from datasets.archive.following.archive_views import keeps_bars, view_of
from datasets.archive.preparation import PreparedArchive, prepared
from datasets.archive.series_rows import lock_datasets, record_series, unrecorded
from datasets.bars import DatasetKey, FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import contradictions, gap_reports, invalidation
from datasets.catalog.outputs import archives, get_store
from datasets.catalog.records import record_row
from datasets.errors import StoreFailed
from datasets.models import Dataset
from datasets.storage import PreparedFile
from datasets.storage.archives.revision_records import RevisionRecord

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
    # Records that an earlier write left without rows.
    earlier: list[RevisionRecord]

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
            self.archive.document,
            self.archive.plan.records,
            fetch_id=fetch_id,
            earlier=self.earlier,
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
            prepared(archives(), series, fetched, is_whole_window=is_whole_window)
        )
        others = Dataset.objects.filter(
            **series.as_dict(), state=Dataset.State.READY, is_pinned=False
        ).exclude(n_bars=key.n_bars)
        folder, document = archive.folder, archive.document
        own = view_of(folder, document, fetched, key.n_bars)
        views = {}
        for row in others:
            view = view_of(folder, document, fetched, row.n_bars)
            if keeps_bars(document, view, row):
                views[row.pk] = stack.enter_context(store.prepared(row.key, view))
        contradicted = contradictions.find_contradicted(
            store, key, own.table, own.last_bar_final, but_for=views
        )
        file = stack.enter_context(store.prepared(key, own))
        report = gap_reports.make_report(key, own.instrument, own.table, own.fetched_at)
        earlier = unrecorded(folder, document)
        yield PreparedArrival(key, archive, file, views, contradicted, report, earlier)
