"""Rows of series and revisions, written from the files of their archives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings

from datasets.bars.series_keys import SeriesKey
from datasets.catalog import Finding
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset, Revision, Series
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.revision_records import RevisionRecord, read_records
from datasets.storage.archives.series_document import DOCUMENT_NAME, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder


def archive_root() -> Path:
    """Return the folder with all archives."""
    root: Path = settings.OUTPUTS_DIR / "archive"
    return root


def folder_of(key: SeriesKey) -> SeriesFolder:
    """Return the folder of the series' archive."""
    return SeriesFolder(archive_root() / relative_folder(key))


def record_series(
    document: SeriesDocument, records: Iterable[RevisionRecord] = (), *, fetch_id: int | None = None
) -> int:
    """Add or update the row of the series and those of the revisions; return the series' primary key."""
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
    for record in records:
        Revision.record(row.pk, record, fetch_id=fetch_id)
    return row.pk


def lock_datasets(key: SeriesKey) -> list[Dataset]:
    """Lock the datasets of a series until the commit, and return them.

    All writers lock by ascending primary key, so that two of them never deadlock. A pin after
    the commit then applies to the new bars.
    """
    return list(Dataset.objects.filter(**key.as_dict()).order_by("pk").select_for_update())


def adopt_series() -> Iterator[Finding]:
    """Add or update the rows of every archive on disk, and yield the results.

    With an empty catalog this rebuilds the rows of series and revisions from the files alone.
    Datasets of a series get their reference to it.
    """
    for path in sorted(archive_root().glob(f"*/*/{DOCUMENT_NAME}")):
        folder, name = SeriesFolder(path.parent), path.parent.relative_to(archive_root()).as_posix()
        try:
            document = folder.document()
            if document is None or relative_folder(document.key) != name:
                yield Finding(name, "corrupt")
                continue
            found = Series.find(document.key)
            series_id = record_series(document, read_records(folder))
        except StoreError as error:
            yield Finding(name, "corrupt", str(error))
        except StoreFailed as error:
            yield Finding(name, "unread", str(error))
        else:
            waiting = Dataset.objects.filter(**document.key.as_dict(), series=None)
            waiting.update(series_id=series_id)
            is_current = found is not None and found.sequence == document.sequence
            yield Finding(name, "ok" if is_current else "adopted")
