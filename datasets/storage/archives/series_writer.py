"""Writing of a series' archive: files under their hashes first, `series.json` next, their own names last.

Docs: `docs/decisions/0014-archive-commits-by-series-json.md`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
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
from datasets.storage.archives.archive_paths import GENERATIONS, REVISIONS, STAGED
from datasets.storage.archives.revision_records import RevisionRecord
from datasets.storage.archives.series_document import (
    DOCUMENT_NAME,
    FileEntry,
    SeriesDocument,
    to_json,
)
from datasets.storage.archives.series_folder import SeriesFolder, concatenated
from datasets.storage.atomic_write import (
    make_durably,
    opened_folder,
    store_failures,
    sync_folder,
)
from datasets.storage.paths import SUFFIX
from datasets.storage.presence import is_marked, mark

LOCK = ".lock"
_NEW_DOCUMENT = f".{DOCUMENT_NAME}.tmp"
# A segment of `_revisions` is written again until it holds this many rows or records.
_ROWS_PER_SEGMENT = 4096
_RECORDS_PER_SEGMENT = 256


class SeriesWriter:
    """One write of a series' archive by the process that holds the series' lock."""

    def __init__(self, folder: SeriesFolder) -> None:
        self.folder = folder
        self.document = folder.document()
        self.is_committed = False
        self._staged: list[FileEntry] = []

    def read_held(self, entry: FileEntry) -> pa.Table:
        """Return the bars with `SEEN_SCHEMA` of a present file. Raises as `SeriesFolder.opened`."""
        with self.folder.opened(lambda _: [entry]) as snapshot:
            return read_rows(snapshot.files[0], SEEN_SCHEMA)

    def stage_rows(
        self, name: str, rows: pa.Table, key: SeriesKey, facts: Mapping[str, Any]
    ) -> FileEntry:
        """Write bars with `SEEN_SCHEMA` to `_next/`, for the file `name`; return its entry."""
        hash_found = file_hash(rows, facts)
        path = self._staged_path(hash_found)
        with store_failures(path):
            size = write_rows(path, rows, key, {**facts, "content_hash": hash_found})
        return self._add(entry_of(name, rows, hash_found, size))

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
        path = self._staged_path(hash_found)
        with store_failures(path):
            size = write_revisions(path, rows, {**facts, "content_hash": hash_found})
        name = f"{REVISIONS}/{number:06}{SUFFIX}"
        return (*entries, self._add(entry_of(name, rows, hash_found, size)))

    def keep_generation(self) -> None:
        """Place the present files and their document into `_generations/` too, under its number."""
        document = self.document
        assert document is not None
        kept = self.folder.earlier(document.generation.number).path
        with store_failures(kept):
            make_durably(kept)
            for entry in document.files:
                _link(self.folder.path / entry.name, kept / entry.name)
            _link(self.folder.path / DOCUMENT_NAME, kept / DOCUMENT_NAME)
            _sync(kept)

    def prepare(self, document: SeriesDocument) -> None:
        """Write the new `series.json` beside the old one, and sync all that was written so far."""
        path = self.folder.path / _NEW_DOCUMENT
        with store_failures(path), path.open("wb") as file:
            file.write(to_json(document))
            file.flush()
            os.fsync(file.fileno())
            _sync(self.folder.path / STAGED)
            _sync(self.folder.path)

    def commit(self) -> None:
        """Replace `series.json` by one rename: from here on the new state is the archive."""
        path = self.folder.path
        with store_failures(path / DOCUMENT_NAME):
            (path / _NEW_DOCUMENT).replace(path / DOCUMENT_NAME)
        self.is_committed = True

    def _staged_path(self, hash_found: str) -> Path:
        return self.folder.path / STAGED / (hash_found + SUFFIX)

    def _add(self, entry: FileEntry) -> FileEntry:
        self._staged.append(entry)
        return entry


@contextmanager
def writing(path: Path) -> Iterator[SeriesWriter]:
    """Hold the lock of the series' folder at `path`, for one write.

    Other writers of the series wait. The traces of a writer that was killed are cleared first: its
    write is finished where it had replaced `series.json`, and undone where it had not. Raises
    `StoreFailed`, and `FileCorrupt` for a folder whose `series.json` is missing or unreadable.
    """
    with ExitStack() as stack:
        with store_failures(path):
            if not is_marked(path.parent):
                make_durably(path.parent)
                mark(path.parent)
            if not (path / STAGED).is_dir():
                make_durably(path / STAGED)
            lock = stack.enter_context((path / LOCK).open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        folder = SeriesFolder(path)
        settle(folder)
        try:
            yield SeriesWriter(folder)
        finally:
            # Also after an error: the state on disk says whether the write is finished or undone.
            settle(folder)


def is_settled(folder: SeriesFolder, document: SeriesDocument | None) -> bool:
    """Return whether the folder, in the state `document`, has no unfinished write of any process."""
    path = folder.path
    staged = path / STAGED
    if (path / _NEW_DOCUMENT).exists() or (staged.is_dir() and any(staged.iterdir())):
        return False
    return document is None or not folder.earlier(document.generation.number).path.exists()


def settle(folder: SeriesFolder) -> None:
    """Bring the files to the state that `series.json` names; the caller holds the lock.

    Does nothing in a folder that is settled. Raises `StoreFailed` and `FileCorrupt`.
    """
    document, path = folder.document(), folder.path
    if document is None and any(path.glob(f"*{SUFFIX}")):
        raise FileCorrupt(
            f"{path.name} has files of bars and no {DOCUMENT_NAME}. Nothing was written; bring it back "
            "from a backup, or move the folder away to begin a new archive."
        )
    entries = () if document is None else (*document.files, *document.revision_files)
    names = {entry.content_hash + SUFFIX: entry.name for entry in entries}
    with store_failures(path):
        staged = sorted((path / STAGED).iterdir())
        if any(each.name in names for each in staged):
            # The new `series.json` reaches the disk before the files that only the old one names
            # are replaced.
            _sync(path)
        for each in staged:
            name = names.get(each.name)
            if name is None:
                each.unlink()
                continue
            if not (path / name).parent.is_dir():
                make_durably((path / name).parent)
            each.replace(path / name)
        (path / _NEW_DOCUMENT).unlink(missing_ok=True)
        if document is not None:
            _clear_generations(folder, document)


def _clear_generations(folder: SeriesFolder, document: SeriesDocument) -> None:
    """Remove the files of the generation before from the folder, and unfinished generations."""
    number = document.generation.number
    for unfinished in (folder.path / GENERATIONS).glob("*"):
        if unfinished.name.isdigit() and int(unfinished.name) >= number:
            shutil.rmtree(unfinished)
    named = {entry.name for entry in document.files}
    for file in folder.path.glob(f"*{SUFFIX}"):
        # Only a file that is kept with its generation: another one was placed there by hand.
        if file.name not in named and (folder.earlier(number - 1).path / file.name).exists():
            file.unlink()


def _link(file: Path, target: Path) -> None:
    with suppress(FileNotFoundError):
        target.unlink()
    link_or_copy(file, target)


def link_or_copy(file: Path, target: Path) -> None:
    """Place the file at `target` too; copy it on another disk, or without hard links. Raises `OSError`."""
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copy2(file, target)


def _sync(folder: Path) -> None:
    with opened_folder(folder) as descriptor:
        sync_folder(descriptor)
