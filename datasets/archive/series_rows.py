"""Rows of series and revisions, written from the files of their archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db import transaction

from datasets.bars.series_keys import SERIES_FIELDS, SeriesKey
from datasets.catalog import Finding
from datasets.catalog.bulk.row_order import in_pages
from datasets.catalog.outputs import archives, require_archives
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset, Revision, Series
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.revision_records import RevisionRecord, read_records
from datasets.storage.archives.series_document import SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder


class _PresentFolder(SeriesFolder):
    """The folder of a series, on a disk that can be away."""

    def __init__(self, key: SeriesKey) -> None:
        found = archives().folder(relative_folder(key))
        super().__init__(found.path, found.files)
        self._source = key.source

    def document(self) -> SeriesDocument | None:
        """Return the state of the series, as `SeriesFolder` does; raise `StoreUnavailable` without its disk."""
        found = super().document()
        if found is None:
            require_archives(self._source)
        return found


def folder_of(key: SeriesKey) -> SeriesFolder:
    """Return the folder of the series' archive; its readers raise `StoreUnavailable` while its disk is away."""
    return _PresentFolder(key)


def record_series(
    document: SeriesDocument,
    records: Iterable[RevisionRecord] = (),
    *,
    fetch_id: int | None = None,
    earlier: Iterable[RevisionRecord] = (),
) -> int:
    """Add or update the row of the series and those of the revisions; return the series' primary key.

    `records` came with the fetch `fetch_id`, `earlier` are of writes before it.
    """
    first, last = document.first_time, document.last_time
    assert first is not None
    assert last is not None
    values = {
        "sequence": document.sequence,
        "n_rows": document.n_rows,
        "bytes": sum(entry.bytes for entry in (*document.files, *document.revision_files)),
        "first_time": first,
        "last_time": last,
        "last_bar_final": document.is_last_final,
        "fetched_at": document.fetched_at,
        "generation": document.generation.number,
        "n_holes": len(document.holes),
        "is_awaiting": bool(document.awaiting),
        "instrument": document.instrument.as_dict(),
    }
    key = document.key.as_dict()
    row = Series(**key, **values)
    Series.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=list(key), update_fields=list(values)
    )
    for record in earlier:
        Revision.record(row.pk, record)
    for record in records:
        Revision.record(row.pk, record, fetch_id=fetch_id)
    return row.pk


def unrecorded(folder: SeriesFolder, document: SeriesDocument) -> list[RevisionRecord]:
    """Return the records of the state `document` if the catalog lacks the write before it; else none.

    A process can die after it has put a state of an archive in force and before it writes the rows.
    """
    series = Series.objects.filter(**document.key.as_dict())
    recorded = series.values_list("sequence", flat=True).first() or 0
    return read_records(folder) if recorded != document.sequence - 1 else []


def lock_datasets(key: SeriesKey) -> list[Dataset]:
    """Lock the datasets of a series until the commit, and return them.

    All writers lock them before the row of the series, by ascending primary key, so that two of
    them never deadlock. A pin after the commit then applies to the new bars.
    """
    return list(Dataset.objects.filter(**key.as_dict()).order_by("pk").select_for_update())


def adopt_series() -> Iterator[Finding]:
    """Add or update the rows of every archive on disk, and yield the results.

    With an empty catalog this rebuilds the rows of series and revisions from the files alone.
    Datasets of a series get their reference to it. The outcome of a series whose archive was
    deleted is `missing`; its row stays.
    """
    names = archives().names()
    for name in names:
        try:
            yield _adopt(archives().folder(name), name)
        except StoreError as error:
            yield Finding(name, "corrupt", str(error))
        except StoreFailed as error:
            yield Finding(name, "unread", str(error))
    present = set(names)
    for series in in_pages(Series.objects.defer("instrument"), SERIES_FIELDS):
        name = relative_folder(series.series_key)
        if name not in present and archives().folder(name).document() is None:
            yield Finding(name, "missing", f"{series} has no archive any more.")


def _adopt(folder: SeriesFolder, name: str) -> Finding:
    document = folder.document()
    found = None if document is None else Series.find(document.key)
    while document is not None and relative_folder(document.key) == name:
        records = read_records(folder)
        with transaction.atomic():
            # Locked as by every writer, by ascending primary key.
            lock_datasets(document.key)
            series_id = record_series(document, records)
            waiting = Dataset.objects.filter(**document.key.as_dict(), series=None)
            waiting.update(series_id=series_id)
        recorded, document = document, folder.document()
        # Otherwise a worker has merged bars meanwhile, and its rows must not be older than its files.
        if document is not None and document.sequence == recorded.sequence:
            is_current = found is not None and found.sequence == document.sequence
            return Finding(name, "ok" if is_current else "adopted")
    return Finding(name, "corrupt")
