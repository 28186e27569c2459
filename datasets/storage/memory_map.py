"""A dataset's file mapped into memory, when it is one: a regular file with no more rows than it says."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import FileCorrupt

# The most that a fetch may ask for; the setting TV_MAX_BARS allows no more.
MAX_ROWS = 1_000_000


def map_file(path: Path) -> tuple[os.stat_result, pa.BufferReader]:
    """Return the file's status and its bytes, both of one descriptor.

    Raises `FileCorrupt` for a link, a pipe, a socket, a device or a folder, which are not opened, and
    `OSError` as `os.open` does.
    """
    # A pipe would else be waited for until somebody writes into it.
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
        # What is empty cannot be mapped.
        content = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) if status.st_size else b""
    finally:
        os.close(descriptor)
    return status, pa.BufferReader(pa.py_buffer(content))


def not_regular(name: str) -> FileCorrupt:
    """Return the error for what is named as a dataset and is not a file."""
    return FileCorrupt(f"{name} is a link, a pipe, a device or a folder, and not a dataset's file.")


def require_rows(file: pq.ParquetFile, *, n_rows: object, n_bars: object, name: str) -> None:
    """Raise `FileCorrupt` unless the file has the rows that it says, before any of them is decoded.

    A file of one megabyte can hold forty million rows that are all alike.
    """
    metadata = file.metadata
    groups = sum(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))
    limit = min(n_bars, MAX_ROWS) if isinstance(n_bars, int) else 0
    if not (metadata.num_rows == groups == n_rows and 0 < groups <= limit):
        raise FileCorrupt(f"{name} has {metadata.num_rows:,} rows, which is not what it says.")
