"""Repair after a killed write of an archive: its files, the rows of its series, and its datasets.

A process can die after it has put a new state in force and before the catalog shows it. The
archive is then right, and its rows and datasets are brought to the same state.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.db import transaction

from datasets.archive.following.archive_views import prepared_views
from datasets.bars.series_keys import SERIES_FIELDS, SeriesKey
from datasets.catalog.outputs import archives
from datasets.errors import StoreError, StoreFailed
from datasets.models import Series
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.revision_records import read_records
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.storage.archives.series_writer import writing

logger = logging.getLogger(__name__)


def recover_archives() -> Iterator[SeriesKey]:
    """Repair every archive with traces of a killed write, and yield the series.

    An archive that cannot be read or written is named in the log; the others are repaired. Raises
    `StoreUnavailable` while a bucket is away.
    """
    rows = Series.objects.values_list(*SERIES_FIELDS, "sequence")
    sequences = {
        relative_folder(SeriesKey.from_dict(dict(zip(SERIES_FIELDS, row[:-1], strict=True)))): row[
            -1
        ]
        for row in rows
    }
    for name in archives().suspects():
        folder = archives().folder(name)
        try:
            document = folder.document()
            is_behind = document is not None and document.sequence != sequences.get(name)
            if (is_behind or folder.files.has_traces(document)) and (
                key := _recover(folder)
            ) is not None:
                yield key
        except (StoreError, StoreFailed) as error:
            logger.warning("archive %s was not repaired: %s", name, error)


def recover_series(key: SeriesKey) -> None:
    """Repair the archive of one series if a killed write left traces.

    Raises `StoreFailed` and `StoreError`.
    """
    folder = archives().folder(relative_folder(key))
    document, found = folder.document(), Series.find(key)
    is_behind = document is not None and (found is None or document.sequence != found.sequence)
    if is_behind or folder.files.has_traces(document):
        _recover(folder)


def _recover(folder: SeriesFolder) -> SeriesKey | None:
    """Finish or undo the write of the folder; return its series if its rows were behind."""
    # The lock's holder finishes or undoes what a killed writer left.
    with writing(folder) as writer:
        document = writer.document
        # A copy that somebody made by hand is no archive.
        if document is None or folder.path != archives().folder(relative_folder(document.key)).path:
            return None
        found = Series.find(document.key)
        # Another worker can have repaired the series meanwhile.
        if found is not None and found.sequence == document.sequence:
            return None
        records = read_records(folder)
        with prepared_views(folder, document) as views, transaction.atomic():
            views.put_in_place(views.lock_ready(), records)
        return document.key
