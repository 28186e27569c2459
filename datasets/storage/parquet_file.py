"""Parquet files below the outputs folder: opened by a memory map, checked for their size, written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import FileCorrupt, FileMissing, StoreFailed
from datasets.storage.atomic_write import temporary_file
from datasets.storage.memory_map import map_file

# The largest permitted number of bars in a fetch; the setting TV_MAX_BARS cannot exceed it.
MAX_ROWS = 1_000_000


@contextmanager
def open_parquet(path: Path, *, are_pages_checked: bool = False) -> Iterator[pq.ParquetFile]:
    """Open the parquet file at `path` by a memory map; otherwise as `parse_parquet`."""
    with _named_failures(path.name):
        _, source = map_file(path)
        with (
            source,
            pq.ParquetFile(source, page_checksum_verification=are_pages_checked) as file,
        ):
            yield file


@contextmanager
def parse_parquet(
    content: pa.Buffer, name: str, *, are_pages_checked: bool = False
) -> Iterator[pq.ParquetFile]:
    """Open the content of a parquet file; `name` is for messages.

    With `are_pages_checked` each page that is decoded is compared with its checksum. Raises `FileMissing`, `FileCorrupt`, and `StoreFailed` where the machine does not permit it.
    """
    with (
        _named_failures(name),
        pa.BufferReader(content) as source,
        pq.ParquetFile(source, page_checksum_verification=are_pages_checked) as file,
    ):
        yield file


@contextmanager
def _named_failures(name: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileMissing(f"{name} does not exist.") from error
    except (pa.ArrowException, OSError) as error:
        # Too many open files or a failing disk do not mean that the file is corrupt.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            reason = os.strerror(error.errno)
            raise StoreFailed(f"{name} could not be read: {reason}.") from error
        raise FileCorrupt(f"{name} is no readable parquet file.") from error


def require_rows(file: pq.ParquetFile, *, n_rows: object, n_bars: object, name: str) -> None:
    """Raise `FileCorrupt` unless the file has `n_rows` rows, at most `n_bars` and `MAX_ROWS`.

    The check reads only the parquet footer: a file of one megabyte can hold forty million
    identical rows, which would fill the memory when they are decoded.
    """
    metadata = file.metadata
    groups = sum(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))
    limit = min(n_bars, MAX_ROWS) if isinstance(n_bars, int) else 0
    if not (metadata.num_rows == groups == n_rows and 0 < groups <= limit):
        raise FileCorrupt(
            f"{name} has {metadata.num_rows:,} rows, another number than its metadata."
        )


def write_parquet(table: pa.Table, file: BinaryIO | pa.BufferOutputStream) -> None:
    """Write the table as the parquet file of a dataset."""
    # zstd without a dictionary is the smallest and the fastest for 5,000 bars.
    pq.write_table(table, file, compression="zstd", use_dictionary=False)


@contextmanager
def temporary_parquet(table: pa.Table, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Write the table to a new temporary file in `folder`, and sync the file.

    Yields the path and the status of the file. The caller renames the file in the block; a file
    that was not renamed is removed after the block. Raises `OSError`.
    """
    with temporary_file(folder) as (path, file):
        write_parquet(table, file)
        file.flush()
        os.fsync(file.fileno())
        yield path, os.fstat(file.fileno())
