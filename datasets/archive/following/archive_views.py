"""Datasets as views of one state of their series' archive, written beside their places and put in place together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from datasets.archive.series_rows import lock_datasets, record_series
from datasets.bars import BAR_COLUMNS, FetchedBars
from datasets.catalog import contradictions, invalidation
from datasets.catalog.outputs import get_store
from datasets.catalog.records import record_row
from datasets.models import Dataset
from datasets.storage import PreparedFile
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_newest
from datasets.storage.archives.revision_records import RevisionRecord
from datasets.storage.archives.series_document import SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder


@dataclass(frozen=True, slots=True)
class PreparedViews:
    """The unpinned datasets of a series as views of one state, and the pinned ones that contradict it."""

    document: SeriesDocument
    files: dict[int, PreparedFile]
    contradicted: list[Dataset]

    def lock_ready(self) -> set[int]:
        """Lock the rows of the series' datasets until the commit; return the keys of those to be replaced."""
        rows = lock_datasets(self.document.key)
        return {row.pk for row in rows if row.state == Dataset.State.READY and not row.is_pinned}

    def put_in_place(self, ready: Collection[int], records: Iterable[RevisionRecord]) -> None:
        """Write the rows of the series and its revisions, and put the datasets `ready` in place."""
        series_id = record_series(self.document, records)
        for number, file in self.files.items():
            if number in ready:
                record_row(file.put_in_place(), series_id=series_id)
        for dataset in self.contradicted:
            invalidation.supersede(get_store(), dataset)


@contextmanager
def prepared_views(folder: SeriesFolder, document: SeriesDocument) -> Iterator[PreparedViews]:
    """Write the series' datasets as views of a state of its archive, beside their places.

    `folder` reads the state of `document`; the caller holds the series' lock. In the block,
    `put_in_place` puts the datasets in place. Errors as for the reading of the archive and the
    writing of a dataset.
    """
    key, store = document.key, get_store()
    newest = read_newest(folder, 1).rows.select(BAR_COLUMNS)
    with ExitStack() as stack:
        files = {}
        rows = list(Dataset.objects.filter(**key.as_dict(), state=Dataset.State.READY))
        for row in rows:
            fetched = FetchedBars(
                newest, document.instrument, document.fetched_at, document.is_last_final,
                is_limited=row.is_limited, n_duplicates=row.n_duplicates, doubts=row.doubts,
            )  # fmt: skip
            view = view_of(folder, document, fetched, row.n_bars)
            if not row.is_pinned and keeps_bars(document, view, row):
                files[row.pk] = stack.enter_context(store.prepared(row.key, view))
        n_bars = max((row.n_bars for row in rows), default=1)
        table = read_newest(folder, n_bars).rows.select(BAR_COLUMNS)
        # No dataset has this key: the bars of all that are not replaced are compared.
        contradicted = contradictions.find_contradicted(
            store, key.dataset(n_bars + 1), table, document.is_last_final, but_for=files
        )
        yield PreparedViews(document, files, contradicted)


def view_of(
    folder: SeriesFolder, document: SeriesDocument, fetched: FetchedBars, n_bars: int
) -> FetchedBars:
    """Return the newest `n_bars` bars of the archive, as a reply for a dataset's file.

    Bars before the archive's last hole are left out: a dataset has no hole that it does not state.
    """
    rows = read_newest(folder, n_bars).rows
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


def keeps_bars(document: SeriesDocument, view: FetchedBars, row: Dataset) -> bool:
    """Return whether the view has the bars of the dataset.

    A short fetch after a long pause leaves a hole before it; the larger datasets then stay as
    they are until they are fetched themselves.
    """
    return not document.holes or view.table.num_rows >= min(row.n_bars, row.n_rows)
