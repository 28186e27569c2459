"""File operations of one series' archive: the ones that a disk and a bucket do each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.storage.archives.series_document import SeriesDocument


class SeriesFiles(Protocol):
    """The files of one series' archive, or of one of its earlier generations.

    Names are relative, such as `2024.parquet` or `_revisions/000001.parquet`. The methods raise
    `StoreFailed` where the machine or the server refuses the work, and `StoreUnavailable`
    where a server is away.
    """

    def earlier(self, generation: int) -> SeriesFiles:
        """Return the files of an earlier generation."""

    def read_document(self) -> bytes | None:
        """Return the text of `series.json`; None where nothing was archived."""

    def opened(self, name: str, content_hash: str) -> AbstractContextManager[pq.ParquetFile]:
        """Open a parquet file; each page that is decoded is compared with its checksum.

        `content_hash` is the hash that the caller looks for: a cached version of the file with
        another hash is not trusted. Raises `FileMissing` and `FileCorrupt`.
        """

    def content(self, name: str) -> pa.Buffer:
        """Return the bytes of a file as they are, without a check. Raises `FileMissing`."""

    # --- one write, by the holder of the lock ---------------------------------------------

    def locked(self) -> AbstractContextManager[None]:
        """Exclude all other writers of the series during the block; make its place."""

    def stage(self, content_hash: str, write: Callable[[BinaryIO], int]) -> int:
        """Write a new file under its hash to `_next/`; return its size in bytes."""

    def keep_generation(self, generation: int, names: Sequence[str]) -> None:
        """Place these files and `series.json` into `_generations/{generation}/` too."""

    def prepare(self, document: bytes) -> None:
        """Write all that can be written before the new `series.json` is in force."""

    def commit(self) -> None:
        """Replace `series.json` by the prepared one, in one step."""

    def has_traces(self, document: SeriesDocument | None) -> bool:
        """Return whether there is an unfinished write of any process; `document` is the present state."""

    def has_bars(self) -> bool:
        """Return whether there is any file of bars."""

    def settle(self, document: SeriesDocument | None) -> None:
        """Finish or undo unfinished writes, so that the files are those of the state `document`."""
