"""Writing of a series' archive: files under their hashes first, `series.json` next, their own names last.

Docs: `docs/decisions/0014-archive-commits-by-series-json.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from datasets.bars.series_keys import SeriesKey
from datasets.errors import FileCorrupt
from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    SEEN_SCHEMA,
    entry_of,
    facts_in,
    file_hash,
    read_rows,
    write_revisions,
    write_rows,
)
from datasets.storage.archives.archive_paths import REVISIONS
from datasets.storage.archives.revision_records import RevisionRecord
from datasets.storage.archives.series_document import (
    DOCUMENT_NAME,
    FileEntry,
    SeriesDocument,
    to_json,
)
from datasets.storage.archives.series_folder import SeriesFolder, concatenated
from datasets.storage.paths import SUFFIX

# A segment of `_revisions` is written again until it holds this many rows or records.
_ROWS_PER_SEGMENT = 4096
_RECORDS_PER_SEGMENT = 256


class SeriesWriter:
    """One write of a series' archive by the process that holds the series' lock."""

    def __init__(self, folder: SeriesFolder) -> None:
        self.folder = folder
        self.document = folder.document()

    def read_held(self, entry: FileEntry) -> pa.Table:
        """Return the bars with `SEEN_SCHEMA` of a present file. Raises as `SeriesFolder.opened`."""
        with self.folder.opened(lambda _: [entry]) as snapshot:
            return read_rows(snapshot.files[0], SEEN_SCHEMA)

    def stage_rows(
        self, name: str, rows: pa.Table, key: SeriesKey, facts: Mapping[str, Any]
    ) -> FileEntry:
        """Write bars with `SEEN_SCHEMA` to `_next/`, for the file `name`; return its entry."""
        hash_found = file_hash(rows, facts)
        size = self.folder.files.stage(
            hash_found,
            lambda file: write_rows(file, rows, key, {**facts, "content_hash": hash_found}),
        )
        return entry_of(name, rows, hash_found, size)

    def stage_revisions(
        self, rows: pa.Table, records: Sequence[RevisionRecord], key: SeriesKey
    ) -> tuple[FileEntry, ...]:
        """Write more rows (`REVISION_SCHEMA`) and records to `_next/`; return the entries of all segments.

        They go to the last segment of `_revisions`, or to a new one where that is full.
        """
        entries = () if self.document is None else self.document.revision_files
        if not (rows.num_rows or records):
            return entries
        new, number = [record.as_dict() for record in records], len(entries) + 1
        if entries:
            with self.folder.opened(lambda found: found.revision_files[-1:]) as snapshot:
                earlier = facts_in(snapshot.files[0], entries[-1].name)["records"]
                held = read_rows(snapshot.files[0], REVISION_SCHEMA)
            if held.num_rows < _ROWS_PER_SEGMENT and len(earlier) < _RECORDS_PER_SEGMENT:
                rows = concatenated([held, rows], REVISION_SCHEMA)
                new, number, entries = [*earlier, *new], number - 1, entries[:-1]
        facts = {"key": key.as_dict(), "records": new}
        hash_found = file_hash(rows, facts)
        size = self.folder.files.stage(
            hash_found,
            lambda file: write_revisions(file, rows, {**facts, "content_hash": hash_found}),
        )
        name = f"{REVISIONS}/{number:06}{SUFFIX}"
        return (*entries, entry_of(name, rows, hash_found, size))

    def keep_generation(self) -> None:
        """Place the present files and their document into `_generations/` too, under its number."""
        document = self.document
        assert document is not None
        names = [entry.name for entry in document.files]
        self.folder.files.keep_generation(document.generation.number, names)

    def prepare(self, document: SeriesDocument) -> None:
        """Write the new `series.json` where it is not in force yet, after all that was written so far."""
        self.folder.files.prepare(to_json(document))

    def commit(self) -> None:
        """Replace `series.json` in one step: from here on the new state is the archive."""
        self.folder.files.commit()


@contextmanager
def writing(folder: SeriesFolder) -> Iterator[SeriesWriter]:
    """Hold the lock of the series, for one write.

    Other writers of the series wait. The traces of a writer that was killed are cleared first: its
    write is finished where it had replaced `series.json`, and undone where it had not. Raises
    `StoreFailed`, and `FileCorrupt` for a folder whose `series.json` is missing or unreadable.
    """
    with folder.files.locked():
        settle(folder)
        try:
            yield SeriesWriter(folder)
        finally:
            # Also after an error: the state of the files says whether the write is finished or undone.
            settle(folder)


def settle(folder: SeriesFolder) -> None:
    """Bring the files to the state that `series.json` names; the caller holds the lock.

    Does nothing in a folder that is settled. Raises `StoreFailed` and `FileCorrupt`.
    """
    document, name = folder.document(), folder.path.name
    if document is None and folder.files.has_bars():
        raise FileCorrupt(
            f"{name} has files of bars and no {DOCUMENT_NAME}. Nothing was written; bring it back "
            "from a backup, or move the folder away to begin a new archive."
        )
    folder.files.settle(document)
