"""Memory maps of regular files; links, pipes and devices are refused."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from pathlib import Path

import pyarrow as pa

from datasets.errors import FileCorrupt


def map_file(path: Path) -> tuple[os.stat_result, pa.BufferReader]:
    """Return the status and the content of the file; both are of the same version.

    Raises `FileCorrupt` for a link, a pipe, a socket, a device or a folder, without opening it,
    and `OSError` as `os.open` does.
    """
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        # A link; a socket or a device without a driver.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise not_regular(path.name) from error
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise not_regular(path.name)
        # An empty file cannot be mapped.
        content = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) if status.st_size else b""
    finally:
        os.close(descriptor)
    return status, pa.BufferReader(pa.py_buffer(content))


def not_regular(name: str) -> FileCorrupt:
    """Return the error for a path with a dataset's name that is no regular file."""
    return FileCorrupt(
        f"{name} is a link, a pipe, a device or a folder, not the file of a dataset."
    )
