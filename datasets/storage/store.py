"""Store: the datasets' files in one place, a folder or a bucket; no other module changes that place.

A file is replaced, never edited. Its metadata describes it completely, so the catalog can be
rebuilt from the files alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path, PurePath

import pyarrow as pa

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FileMissing, StoreUnavailable
from datasets.storage.dataset_file import PreparedFile, StoredFile


class Store(ABC):
    """The datasets in one place. A `path` is relative to it, such as `sample/BINANCE_BTCUSDT_1h_5000.parquet`."""

    def write(self, key: DatasetKey, fetched: FetchedBars) -> StoredFile:
        """Write the key's file and return the stored file.

        A reader sees the old file or the new file, never a part. After the return the new
        file survives a power cut. Raises `StoreFailed`; the old file is then unchanged.
        """
        with self.prepared(key, fetched) as prepared:
            return prepared.put_in_place()

    @abstractmethod
    def prepared(
        self, key: DatasetKey, fetched: FetchedBars
    ) -> AbstractContextManager[PreparedFile]:
        """Do all of the writing of the key's new file that can be slow.

        In the block, `put_in_place` replaces the old file in one step. After the block the new
        file survives a power cut, or the old file is unchanged. Raises `StoreFailed`.
        """

    @abstractmethod
    def read(self, path: str, *, recorded: str = "") -> tuple[pa.Table, StoredFile]:
        """Return the bars of the file at `path`, and the stored file.

        The table has `BAR_SCHEMA`, oldest bar first. `recorded` is the version in the row of the
        catalog; a bucket is not asked again for a version that was seen a few seconds ago.
        Raises `FileMissing` when the file was deleted, and `FileCorrupt` when it is unreadable,
        or holds other bars than were written, or bars of another key.
        """

    @abstractmethod
    def version(self, path: str) -> str:
        """Return the version of the file at `path` now: an opaque text that changes with the file.

        Raises `FileMissing`; `FileCorrupt` for a path that is not a regular file; `StoreUnavailable` when
        the source's folder is absent, and `StoreFailed` when the machine refuses the access.
        """

    @abstractmethod
    def is_current(self, path: str, version: str) -> bool:
        """Return whether the file at `path` has this version; in a bucket, a few seconds ago. Errors as for `version`."""

    @abstractmethod
    def lookup(self) -> Callable[[str], str]:
        """Return a function as `version`, for very many paths: a bucket is listed once."""

    @abstractmethod
    def local_path(self, path: str, version: str) -> Path:
        """Return a file of this machine with the content of this version; errors as for `read`."""

    @abstractmethod
    def all_paths(self) -> Iterator[str]:
        """Yield the relative path of every file with the name of a dataset, sorted."""

    @abstractmethod
    def delete(self, path: str, *, fetched_at: datetime, aside: str = "") -> bool:
        """Delete the file at `path`, if it exists and was fetched at `fetched_at`.

        With `aside` the file is moved to that folder beside the datasets, with the time in its
        name. Returns False, and deletes nothing, when the file is of another fetch. A file that
        is no dataset is deleted too. The caller holds the lock of the dataset's row. Raises
        `StoreFailed`, and `StoreUnavailable` when the source's folder is absent.
        """

    @abstractmethod
    def mark_superseded(self, path: str) -> None:
        """Mark the file at `path` as contradicted by a newer fetch, until the file is replaced.

        Raises `StoreError` where the file is missing, `StoreFailed` and `StoreUnavailable`.
        """

    @abstractmethod
    def quarantine(self, path: str) -> PurePath | None:
        """Move the file at `path` to `quarantine/`; return its new path.

        Returns None, and moves nothing, when the path has a readable dataset or no file by
        now. The folder stands beside the datasets; the file's name gets the time.
        """

    @abstractmethod
    def remove_strays(self) -> int:
        """Remove temporary files of dead writers; return their number."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Return the free bytes of the datasets' disk; None for a bucket, which has no limit."""

    @abstractmethod
    def keep_reply(self, name: str, reply: bytes) -> None:
        """Keep a rejected reply beside the datasets, for the operator. Raises `StoreFailed`."""

    @abstractmethod
    def read_beside(self, name: str) -> pa.BufferReader:
        """Return the content of a file beside the datasets, such as `catalog.parquet`.

        Raises `FileMissing` or `OSError` where there is none, and `StoreUnavailable`.
        """

    @abstractmethod
    def put_beside(self, name: str, temporary: Path) -> None:
        """Put a temporary file in place beside the datasets, in one step; a bucket leaves it where it is.

        Raises `OSError`, `StoreFailed` and `StoreUnavailable`.
        """

    @abstractmethod
    def purge_removed(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete the removed files and rejected replies that came beside the datasets before this instant.

        Returns their number and their size in bytes. Raises `StoreFailed`.
        """

    @abstractmethod
    def is_present(self, source: str) -> bool:
        """Return whether the source's folder is present; an empty mount point or an empty bucket is not."""

    @abstractmethod
    def accept(self, source: str) -> None:
        """Accept the source's folder as present although it is empty; make it if it is missing."""

    @abstractmethod
    def unavailable(self, source: str) -> StoreUnavailable:
        """Return the error for a source whose folder is absent."""

    def _absent(self, path: str) -> FileMissing | StoreUnavailable:
        source = path.partition("/")[0]
        if not self.is_present(source):
            return self.unavailable(source)
        return FileMissing(f"{path} does not exist.")
