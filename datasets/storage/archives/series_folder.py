"""The folder of one series' archive, read as one consistent state.

`series.json` names every file with its content hash. A writer places new files in `_next/`
under their hashes, replaces `series.json`, and then renames the new files to their own names.
So a file with the hash that `series.json` names is at its own name or in `_next/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import FileCorrupt, FileMissing
from datasets.storage.archives.archive_files import facts_in
from datasets.storage.archives.archive_paths import GENERATIONS, STAGED
from datasets.storage.archives.folder_files import FolderFiles
from datasets.storage.archives.series_document import (
    DOCUMENT_NAME,
    FileEntry,
    SeriesDocument,
    from_json,
)
from datasets.storage.archives.series_files import SeriesFiles
from datasets.storage.paths import SUFFIX


class Snapshot(NamedTuple):
    """One state of a series: its document, and the chosen files, open."""

    document: SeriesDocument
    files: list[pq.ParquetFile]


class SeriesFolder:
    """The archive of one series, or of one of its earlier generations, for readers.

    Parameters
    ----------
    path
        The folder: on this machine's disk, or below the prefix of a bucket.
    files
        The files in it; None for those on the disk.
    """

    def __init__(self, path: Path, files: SeriesFiles | None = None) -> None:
        self.path = path
        self.files = FolderFiles(path) if files is None else files

    def document(self) -> SeriesDocument | None:
        """Return the state of the series; None where nothing was archived.

        Raises `FileCorrupt` for a document that cannot be read, `StoreFailed` where the machine
        does not permit the reading, `StoreUnavailable` while a bucket is away.
        """
        text = self.files.read_document()
        if text is None:
            return None
        try:
            return from_json(text)
        except (KeyError, TypeError, ValueError) as error:
            raise FileCorrupt(
                f"{self.path.name}/{DOCUMENT_NAME} is no readable document of a series."
            ) from error

    def earlier(self, generation: int) -> SeriesFolder:
        """Return the folder of an earlier generation."""
        path = self.path / GENERATIONS / str(generation)
        return SeriesFolder(path, self.files.earlier(generation))

    @contextmanager
    def opened(self, choose: Callable[[SeriesDocument], Sequence[FileEntry]]) -> Iterator[Snapshot]:
        """Open the files that `choose` takes from the document, all of one state of the series.

        The files stay those of this state while a writer replaces them. Raises `FileMissing`
        where nothing was archived or a file was deleted, `FileCorrupt` for a file with another
        content, and `StoreFailed`.
        """
        document = self.document()
        while True:
            if document is None:
                raise FileMissing(f"{self.path.name} has no archive.")
            with ExitStack() as stack:
                try:
                    files = [self._open(entry, stack) for entry in choose(document)]
                except (FileCorrupt, FileMissing):
                    later = self.document()
                    # Only a file of the present state is damaged; a writer has replaced the others.
                    if later is not None and later.sequence == document.sequence:
                        raise
                    document = later
                    continue
                yield Snapshot(document, files)
                return

    def _open(self, entry: FileEntry, stack: ExitStack) -> pq.ParquetFile:
        """Open the file with the entry's hash, at its own name or in `_next/`."""
        own, staged = entry.name, f"{STAGED}/{entry.content_hash}{SUFFIX}"
        problem: FileCorrupt | FileMissing | None = None
        # The file can move from `_next/` to its own name between the first two looks.
        for name in (own, staged, own):
            try:
                file = stack.enter_context(self.files.opened(name, entry.content_hash))
                facts = facts_in(file, entry.name)
            except (FileCorrupt, FileMissing) as error:
                problem = problem or error
                continue
            is_named = facts.get("content_hash") == entry.content_hash
            if is_named and file.metadata.num_rows == entry.n_rows:
                return file
            problem = FileCorrupt(
                f"{self.path.name}/{entry.name} does not hold the bars that {DOCUMENT_NAME} names."
            )
        assert problem is not None
        raise problem


def concatenated(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Return the rows of all tables, in their order."""
    return pa.concat_tables([schema.empty_table(), *tables])
