"""Reading of one dataset's file: its facts, its bars, and the comparison with its hash."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasets import bars
from datasets.errors import FileCorrupt, FileMissing, StoreFailed
from datasets.storage.memory_map import map_file, require_rows
from datasets.storage.metadata import METADATA_KEY, FileFacts, from_document
from datasets.storage.paths import relative_path


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file on disk: its facts, and its size and modification time, which identify its version."""

    facts: FileFacts
    bytes: int
    modified_ns: int


def read_file(folder: Path, path: str) -> tuple[pa.Table, FileFacts]:
    """Read the dataset at `path` below `folder`, and compare the bars with their hash.

    The table has `BAR_SCHEMA`, oldest bar first. Raises `FileMissing`, `FileCorrupt` and
    `StoreFailed`.
    """
    with open_file(folder / path) as file:
        facts = facts_of(file, path)
        if relative_path(facts.key) != path:
            raise FileCorrupt(f"{path} is the file of {facts.key}.")
        require_rows(file, n_rows=facts.n_rows, n_bars=facts.key.n_bars, name=path)
        if not file.schema_arrow.remove_metadata().equals(bars.BAR_SCHEMA):
            raise FileCorrupt(f"{path} does not have the columns of a dataset.")
        try:
            table = file.read(use_threads=False).replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            raise FileCorrupt(f"{path} cannot be read to its end.") from error
    if bars.content_hash(table) != facts.content_hash:
        raise FileCorrupt(f"{path} does not hold the bars that were written.")
    return table, facts


@contextmanager
def open_file(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a parquet file by a memory map.

    Raises `FileMissing`, `FileCorrupt`, and `StoreFailed` where the machine does not permit it.
    """
    try:
        _, source = map_file(path)
        with source, pq.ParquetFile(source) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileMissing(f"{path.name} is not there.") from error
    except (pa.ArrowException, OSError) as error:
        # Too many open files or a failing disk do not mean that the file is corrupt.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            reason = os.strerror(error.errno)
            raise StoreFailed(f"{path.name} could not be read: {reason}.") from error
        raise FileCorrupt(f"{path.name} is no readable parquet file.") from error


def facts_of(file: pq.ParquetFile, path: str) -> FileFacts:
    """Return the facts in the file's metadata; raise `FileCorrupt` where there are none."""
    metadata = file.schema_arrow.metadata or {}
    try:
        return from_document(metadata[METADATA_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{path} does not say which dataset it is.") from error
