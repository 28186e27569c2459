"""Atomic writes: a reader sees the old file or all of the new file."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import uuid4

from datasets.errors import StoreFailed


class Status(NamedTuple):
    """One version of a file.

    `changed_ns` also shows an overwrite in place after which a program set `modified_ns` back.
    """

    inode: int
    n_bytes: int
    modified_ns: int
    changed_ns: int


def put(path: Path, *parts: bytes | memoryview, is_synced: bool = False) -> Status:
    """Write the parts in order as the file at `path`; return its status.

    With `is_synced` the content is on the disk before the file has its name. Without it, a
    power cut can leave a file of the right length with wrong content. Raises `OSError`.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
            temporary.replace(path)
            # After the rename, which is a change of the inode; and of the open file, because another
            # process may have replaced it already.
            return to_status(os.fstat(file.fileno()))
    finally:
        temporary.unlink(missing_ok=True)


def status_of(path: Path) -> Status:
    """Return the status of the file at `path`. Raises `OSError`."""
    return to_status(path.stat())


def to_status(found: os.stat_result) -> Status:
    """Return the status of the file with this `stat`."""
    return Status(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new temporary file in `folder`; remove the file afterwards if it still exists.

    The file is locked while it is open, so `Store.remove_strays` leaves it alone. Raises `OSError`.
    """
    # Not `mkstemp`: only their owner can read its files, and the web process can have another user.
    while True:
        # In the folder of the final file, so that the replacement is one rename.
        path = folder / f".{uuid4().hex}.tmp"
        try:
            with path.open("xb") as file:
                # The lock ends with the process: a temporary file without a lock is a stray.
                fcntl.flock(file, fcntl.LOCK_EX)
                # Without links, a starting worker removed the file before it was locked.
                if os.fstat(file.fileno()).st_nlink:
                    yield path, file
                    return
        finally:
            path.unlink(missing_ok=True)


def remove_strays(paths: Iterable[Path]) -> int:
    """Remove those of the temporary files whose writers have died; return their number."""
    n_removed = 0
    for path in paths:
        # Opening a pipe would block.
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            n_removed += 1
    return n_removed


def make_durably(folder: Path) -> None:
    """Make a folder and its parents, so that they survive a power cut. Raises `OSError`."""
    if not folder.parent.is_dir():
        make_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    with opened_folder(folder.parent) as above:
        sync_folder(above)


@contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """Open a folder, for `sync_folder`. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_folder(descriptor: int) -> None:
    """Make the renames in an open folder survive a power cut. Raises `OSError`."""
    os.fsync(descriptor)


@contextmanager
def store_failures(path: Path) -> Iterator[None]:
    """Raise `StoreFailed` in place of an `OSError` of a write."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the write failed"
        raise StoreFailed(
            f"{path.name} could not be written: {reason}. Nothing was changed. "
            "Make room or correct the folder's permissions, then fetch again."
        ) from error
