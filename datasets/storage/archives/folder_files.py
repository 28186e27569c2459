"""Files of a series' archive in a folder on a disk: renames decide, and every step is synced."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import FileMissing, StoreFailed
from datasets.storage.archives.archive_paths import GENERATIONS, STAGED
from datasets.storage.archives.series_document import DOCUMENT_NAME, SeriesDocument
from datasets.storage.atomic_write import (
    make_durably,
    opened_folder,
    store_failures,
    sync_folder,
)
from datasets.storage.memory_map import map_file
from datasets.storage.parquet_file import open_parquet
from datasets.storage.paths import SUFFIX
from datasets.storage.presence import is_marked, mark

LOCK = ".lock"
_NEW_DOCUMENT = f".{DOCUMENT_NAME}.tmp"


class FolderFiles:
    """The files of one series in the folder `path`; the methods are those of `SeriesFiles`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def earlier(self, generation: int) -> FolderFiles:
        """Return the files of an earlier generation."""
        return FolderFiles(self.path / GENERATIONS / str(generation))

    def read_document(self) -> bytes | None:
        """Return the text of `series.json`; None where nothing was archived."""
        path = self.path / DOCUMENT_NAME
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreFailed(
                f"{path.parent.name}/{path.name} could not be read: {error.strerror}."
            ) from error

    def opened(self, name: str, content_hash: str) -> AbstractContextManager[pq.ParquetFile]:
        """Open a parquet file by a memory map."""
        return open_parquet(self.path / name, are_pages_checked=True)

    def content(self, name: str) -> pa.Buffer:
        """Map a file into memory."""
        with store_failures(self.path):
            try:
                return map_file(self.path / name)[1].read_buffer()
            except FileNotFoundError:
                raise FileMissing(f"{name} does not exist.") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder, which is made where it does not exist."""
        path = self.path
        with ExitStack() as stack:
            with store_failures(path):
                if not is_marked(path.parent):
                    make_durably(path.parent)
                    mark(path.parent)
                if not (path / STAGED).is_dir():
                    make_durably(path / STAGED)
                lock = stack.enter_context((path / LOCK).open("ab"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def stage(self, content_hash: str, write: Callable[[BinaryIO], int]) -> int:
        """Write a new file under its hash to `_next/`, and sync it; return its size in bytes."""
        path = self.path / STAGED / (content_hash + SUFFIX)
        with store_failures(path), path.open("wb") as file:
            size = write(file)
            file.flush()
            os.fsync(file.fileno())
            return size

    def keep_generation(self, generation: int, names: Sequence[str]) -> None:
        """Link these files and `series.json` into `_generations/{generation}/`."""
        kept = self.earlier(generation).path
        with store_failures(kept):
            make_durably(kept)
            for name in (*names, DOCUMENT_NAME):
                with suppress(FileNotFoundError):
                    (kept / name).unlink()
                link_or_copy(self.path / name, kept / name)
            _sync(kept)

    def prepare(self, document: bytes) -> None:
        """Write the new `series.json` beside the old one, and sync all that was written so far."""
        path = self.path / _NEW_DOCUMENT
        with store_failures(path), path.open("wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
            _sync(self.path / STAGED)
            _sync(self.path)

    def commit(self) -> None:
        """Replace `series.json` by one rename."""
        with store_failures(self.path / DOCUMENT_NAME):
            (self.path / _NEW_DOCUMENT).replace(self.path / DOCUMENT_NAME)

    def has_traces(self, document: SeriesDocument | None) -> bool:
        """Return whether the folder, in the state `document`, has an unfinished write of any process."""
        staged = self.path / STAGED
        if (self.path / _NEW_DOCUMENT).exists() or (staged.is_dir() and any(staged.iterdir())):
            return True
        return document is not None and self.earlier(document.generation.number).path.exists()

    def has_bars(self) -> bool:
        """Return whether there is any file of bars."""
        return any(self.path.glob(f"*{SUFFIX}"))

    def settle(self, document: SeriesDocument | None) -> None:
        """Finish or undo unfinished writes; does nothing in a folder that is settled."""
        path = self.path
        names = {} if document is None else document.names_by_hash
        with store_failures(path):
            staged = sorted((path / STAGED).iterdir())
            if any(each.stem in names for each in staged):
                # The new `series.json` reaches the disk before the files that only the old one names
                # are replaced.
                _sync(path)
            for each in staged:
                name = names.get(each.stem)
                if name is None:
                    each.unlink()
                    continue
                if not (path / name).parent.is_dir():
                    make_durably((path / name).parent)
                each.replace(path / name)
            (path / _NEW_DOCUMENT).unlink(missing_ok=True)
            if document is not None:
                self._clear_generations(document)

    def _clear_generations(self, document: SeriesDocument) -> None:
        """Remove the files of the generation before from the folder, and unfinished generations."""
        number = document.generation.number
        for unfinished in (self.path / GENERATIONS).glob("*"):
            if unfinished.name.isdigit() and int(unfinished.name) >= number:
                shutil.rmtree(unfinished)
        named = {entry.name for entry in document.files}
        for file in self.path.glob(f"*{SUFFIX}"):
            # Only a file that is kept with its generation: another one was placed there by hand.
            if file.name not in named and (self.earlier(number - 1).path / file.name).exists():
                file.unlink()


def link_or_copy(file: Path, target: Path) -> None:
    """Place the file at `target` too; copy it on another disk, or without hard links. Raises `OSError`."""
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copy2(file, target)


def _sync(folder: Path) -> None:
    with opened_folder(folder) as descriptor:
        sync_folder(descriptor)
