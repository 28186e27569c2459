"""A file put in its place at once: a reader finds the one before, or all of the new one."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

# What tells a file from the one that replaces it: inode, bytes, time of change in ns.
Status = tuple[int, int, int]


def put(path: Path, *parts: bytes | memoryview, is_synced: bool = False) -> Status:
    """Write the parts, one after another, as the file at `path`; return its status.

    With `is_synced` all of it is on the disk before it is there under its name, so that a
    machine that goes down leaves no file that is whole only in its length.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
        status = status_of(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return status


def status_of(path: Path) -> Status:
    """Return what tells the file at `path` from any other."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
