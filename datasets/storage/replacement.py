"""Replacement of a dataset's file: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import StoreFailed
from datasets.storage.dataset_file import StoredFile


class PreparedFile:
    """A dataset's new file, written to a temporary name in the same folder, and synced."""

    def __init__(
        self,
        path: Path,
        temporary: Path,
        stored: StoredFile,
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.is_in_place = False
        self._path = path
        self._temporary = temporary
        self._stored = stored
        self._alone = alone

    def put_in_place(self) -> StoredFile:
        """Replace the old file by the new file; return the new file. Raises `StoreFailed`."""
        with store_failures(self._path), self._alone():
            self._temporary.replace(self._path)
            self.is_in_place = True
        return self._stored


@contextmanager
def written(table: pa.Table, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Write and sync a new temporary file; remove the file afterwards if it still exists."""
    # Not `mkstemp`: only their owner can read its files, and the web process can have another user.
    while True:
        # In the same folder, so that the replacement is one rename.
        path = folder / f".{uuid4().hex}.tmp"
        try:
            with path.open("xb") as file:
                # The lock ends with the process: a temporary file without a lock is a stray.
                fcntl.flock(file, fcntl.LOCK_EX)
                # Without links, a starting worker removed the file before it was locked.
                if os.fstat(file.fileno()).st_nlink:
                    # zstd without a dictionary is the smallest and the fastest for 5,000 bars.
                    pq.write_table(table, file, compression="zstd", use_dictionary=False)
                    file.flush()
                    os.fsync(file.fileno())
                    yield path, os.fstat(file.fileno())
                    return
        finally:
            path.unlink(missing_ok=True)


def make_durably(folder: Path) -> None:
    """Make a folder and its parents, so that they survive a power cut."""
    if not folder.parent.is_dir():
        make_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    with opened_folder(folder.parent) as above:
        os.fsync(above)


def sync_folder(descriptor: int) -> None:
    """Make the renames in an open folder survive a power cut."""
    os.fsync(descriptor)


@contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """Open a folder, for `sync_folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def store_failures(path: Path) -> Iterator[None]:
    """Raise `StoreFailed` in place of an `OSError` of a write."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the write failed"
        raise StoreFailed(
            f"{path.name} could not be written: {reason}. Nothing was changed; "
            "make room or mend the folder's permissions, then fetch again."
        ) from error
