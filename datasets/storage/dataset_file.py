"""One dataset's file: its facts, its bars compared with their hash, and its replacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from datasets import bars
from datasets.errors import FileCorrupt
from datasets.storage.metadata import METADATA_KEY, FileFacts, from_document
from datasets.storage.parquet_file import require_rows
from datasets.storage.paths import relative_path


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file: its facts, its size, and its version, an opaque text of the store."""

    facts: FileFacts
    bytes: int
    version: str


class PreparedFile(Protocol):
    """A dataset's new file, ready to replace the old file in one step."""

    def put_in_place(self) -> StoredFile:
        """Replace the old file by the new file; return the new file.

        Raises `StoreFailed`, and `StoreUnavailable` while the store is away.
        """


def read_bars(file: pq.ParquetFile, path: str) -> tuple[pa.Table, FileFacts]:
    """Read the opened dataset whose relative path is `path`, and compare the bars with their hash.

    The table has `BAR_SCHEMA`, oldest bar first. Raises `FileCorrupt`.
    """
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


def facts_of(file: pq.ParquetFile, path: str) -> FileFacts:
    """Return the facts in the file's metadata; raise `FileCorrupt` where there are none."""
    metadata = file.schema_arrow.metadata or {}
    try:
        return from_document(metadata[METADATA_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{path} has no readable metadata of a dataset.") from error
