"""Folders beside the datasets, for files that left the datasets folder and for rejected replies."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from datasets.errors import StoreFailed
from datasets.storage.atomic_write import put, store_failures
from datasets.storage.paths import MAX_NAME_BYTES

# Unreadable files, files of deleted datasets, and files of invalidated datasets.
QUARANTINE = "quarantine"
TRASH = "trash"
INVALIDATED = "invalidated"
# Replies of TradingView that our code did not understand.
REJECTED = "rejected"
# All of them; `manage.py tidy` deletes the old files in them.
REMOVED = (QUARANTINE, REJECTED, TRASH, INVALIDATED)


def aside_path(path: str, name: str) -> PurePosixPath:
    """Return the path in the folder `name` for a file that leaves `path` now: the old name, with the time."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    # The dataset's name can already have the greatest length of a file name.
    kept = PurePosixPath(path).name[: MAX_NAME_BYTES - len(stamp) - 1]
    return PurePosixPath(name) / PurePosixPath(path).with_name(f"{kept}.{stamp}")


def move_aside(datasets: Path, path: str, name: str) -> Path:
    """Move the file at `path` below `datasets` into the folder `name` beside `datasets`.

    Returns the new path: the old name, with the time of the move. Raises `OSError`.
    """
    target = datasets.parent / aside_path(path, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A rename, or a copy where the datasets have their own disk.
    shutil.move(datasets / path, target)
    return target


def keep_reply(outputs: Path, name: str, reply: bytes) -> None:
    """Keep a rejected reply below `outputs`, for the operator. Raises `StoreFailed`."""
    path = outputs / REJECTED / f"{name}.txt"
    with store_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, reply)


def purge(outputs: Path, before: datetime, *, dry_run: bool) -> tuple[int, int]:
    """Delete the files in these folders that were put there before this instant.

    Returns their number and their size in bytes. Raises `StoreFailed`.
    """
    n_files = n_bytes = 0
    for folder in REMOVED:
        for path in sorted((outputs / folder).rglob("*")):
            status = path.lstat()
            # The time of the move; the file can be much older.
            if path.is_dir() or status.st_ctime >= before.timestamp():
                continue
            if not dry_run:
                try:
                    path.unlink()
                except OSError as error:
                    raise StoreFailed(f"{path} could not be deleted: {error.strerror}.") from error
            n_files, n_bytes = n_files + 1, n_bytes + status.st_size
    return n_files, n_bytes
