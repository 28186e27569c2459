"""The datasets' files below the datasets folder; only this module writes there.

A file is replaced, never edited, and its own metadata describes it completely, so that the
catalog can be rebuilt from the files alone. This module uses no catalog and no network.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from datasets import bars
from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FileCorrupt, FileMissing, StoreFailed, StoreUnavailable
from datasets.storage.memory_map import map_file, not_regular, require_rows
from datasets.storage.metadata import METADATA_KEY, FileFacts, describe, from_document, to_document
from datasets.storage.paths import MAX_NAME_BYTES, SUFFIX, relative_path, superseded_mark
from datasets.storage.presence import is_marked, is_present, mark

# Beside the datasets: files that could not be read, deleted and invalidated datasets, and replies that could not be understood.
_QUARANTINE = "quarantine"
TRASH = "trash"
INVALIDATED = "invalidated"
_REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file on disk: what it says of itself, and what tells it from a later one."""

    facts: FileFacts
    bytes: int
    modified_ns: int


class PreparedFile:
    """A dataset's new file, written beside its place and synced."""

    def __init__(
        self,
        path: Path,
        temporary: Path,
        stored: StoredFile,
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.is_in_place = False
        self._path = path
        self._temporary = temporary
        self._stored = stored
        self._alone = alone

    def put_in_place(self) -> StoredFile:
        """Replace the old file, and return what is on disk then. Raises `StoreFailed`."""
        with _store_failures(self._path), self._alone():
            self._temporary.replace(self._path)
            self.is_in_place = True
        return self._stored


class Store:
    """The datasets below one folder.

    Parameters
    ----------
    folder
        `outputs/datasets`; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: DatasetKey) -> Path:
        """Return where the key's file is, or would be."""
        return self.folder / relative_path(key)

    def write(self, key: DatasetKey, fetched: FetchedBars) -> StoredFile:
        """Write the key's file and return what is on disk then.

        A reader sees the old file or the new one, never a part. When this returns, the
        file survives a power cut. Raises `StoreFailed`; the old file is then untouched.
        """
        with self.prepared(key, fetched) as prepared:
            return prepared.put_in_place()

    @contextmanager
    def prepared(self, key: DatasetKey, fetched: FetchedBars) -> Iterator[PreparedFile]:
        """Write the key's file beside its place and sync it, which may take long.

        In the block, `put_in_place` replaces the old file by a rename. After the block the file
        survives a power cut, or the old one is untouched. Raises `StoreFailed`.
        """
        path = self.path(key)
        with ExitStack() as stack:
            with _store_failures(path):
                facts = describe(key, fetched)
                table = fetched.table.replace_schema_metadata({METADATA_KEY: to_document(facts)})
                if not is_marked(path.parent):
                    _make_durably(path.parent)
                    mark(path.parent)
                # Opened first: once the file is replaced nothing may be missing any more.
                folder = stack.enter_context(_opened(path.parent))
                temporary, status = stack.enter_context(_written(table, path.parent))
            stored = StoredFile(facts, status.st_size, status.st_mtime_ns)
            prepared = PreparedFile(path, temporary, stored, self._alone)
            yield prepared
            if prepared.is_in_place:
                with _store_failures(path):
                    _sync_folder(folder)

    def all_paths(self) -> Iterator[str]:
        """Yield the relative path of every file that is named as a dataset, sorted."""
        for path in sorted(self.folder.glob(f"*/*{SUFFIX}")):
            yield path.relative_to(self.folder).as_posix()

    def delete(self, path: str, *, fetched_at: datetime, aside: str = "") -> bool:
        """Delete the file at `path` (relative), if it is there and was fetched at that instant.

        With `aside` the file is moved to that folder beside the datasets, with the time in its
        name. Returns False when a file of another fetch is there, which stays. What is no
        dataset is deleted too. Raises `StoreFailed`, and `StoreUnavailable` when the source's
        folder is away.
        """
        source = path.partition("/")[0]
        if not self.is_present(source):
            raise self.unavailable(source)
        try:
            with suppress(FileMissing, FileNotFoundError), self._alone():
                if self._is_of_another_fetch(path, fetched_at):
                    return False
                if aside:
                    self._set_aside(path, aside)
                else:
                    (self.folder / path).unlink()
        except OSError as error:
            verb = "moved" if aside else "deleted"
            raise StoreFailed(
                f"{path} could not be {verb}: {error.strerror}. It is still there, and in the catalog."
            ) from error
        return True

    def mark_superseded(self, path: str) -> None:
        """Say beside the file at `path` that a newer fetch contradicts it, until it is replaced.

        Raises `StoreError` where the file is not there, `StoreFailed` and `StoreUnavailable`.
        """
        file = self.folder / path
        document = json.dumps({"name": file.name, "version": self.version(path)})
        temporary = file.parent / f".{uuid4().hex}.tmp"
        with _store_failures(file):
            temporary.write_text(document)
            temporary.replace(file.parent / superseded_mark(file.name))

    def quarantine(self, path: str) -> Path | None:
        """Move the file at `path` (relative) away; return where it is then.

        Returns None, and moves nothing, when a whole dataset or nothing is there by now.
        Nothing is lost: it lies under `quarantine/` beside the datasets, with the time in
        its name.
        """
        with _store_failures(self.folder / path), self._alone(), suppress(FileMissing):
            try:
                self._read_once(path)
            except FileCorrupt:
                return self._set_aside(path, _QUARANTINE)
        return None

    def _set_aside(self, path: str, name: str) -> Path:
        """Move the file at `path` into the folder `name` beside the datasets; return its new path."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        folder = (self.folder.parent / name / path).parent
        # Within the length of a file name, which the dataset's own may have.
        target = folder / f"{Path(path).name[: MAX_NAME_BYTES - len(stamp) - 1]}.{stamp}"
        folder.mkdir(parents=True, exist_ok=True)
        # A rename, or a copy where the datasets have a disk of their own.
        shutil.move(self.folder / path, target)
        return target

    def remove_strays(self) -> int:
        """Remove temporary files whose writer is dead; return how many there were."""
        n_removed = 0
        for path in self.folder.glob("*/.*.tmp"):
            # A pipe of that name would be waited for.
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                n_removed += 1
        return n_removed

    def free_bytes(self) -> int:
        """Return the bytes that are free on the datasets' disk."""
        folder = self.folder if self.folder.exists() else self.folder.parent
        return shutil.disk_usage(folder).free

    def keep_reply(self, name: str, reply: bytes) -> None:
        """Keep a reply that could not be understood, for the operator, beside the datasets."""
        folder = self.folder.parent / _REJECTED
        with _store_failures(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.txt").write_bytes(reply)

    def forget_set_aside(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete the files and replies that were set aside, invalidated or deleted before that instant.

        Returns how many, and their bytes. Raises `StoreFailed`.
        """
        n_files = n_bytes = 0
        for folder in (_QUARANTINE, _REJECTED, TRASH, INVALIDATED):
            for path in sorted((self.folder.parent / folder).rglob("*")):
                status = path.lstat()
                # When it came there, not when it was written: that may be long before.
                if path.is_dir() or status.st_ctime >= before.timestamp():
                    continue
                if not dry_run:
                    _delete(path)
                n_files, n_bytes = n_files + 1, n_bytes + status.st_size
        return n_files, n_bytes

    def read(self, path: str) -> tuple[pa.Table, StoredFile]:
        """Return the bars of the file at `path` (relative), and what is on disk there.

        The table has `BAR_SCHEMA`, oldest bar first. Raises `FileMissing` when somebody
        deleted the file, and `FileCorrupt` when it cannot be read, holds other bars than
        were written, or those of another key.
        """
        while True:
            version = self.version(path)
            try:
                table, facts = self._read_once(path)
            except FileMissing:
                raise self._absent(path) from None
            except FileCorrupt:
                # Unless it was being replaced just then, it really is.
                if version == self.version(path):
                    raise
                continue
            if version == self.version(path):
                return table, StoredFile(facts, *version)

    def _read_once(self, path: str) -> tuple[pa.Table, FileFacts]:
        with _open(self.folder / path) as file:
            facts = _facts_of(file, path)
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

    def _is_of_another_fetch(self, path: str, fetched_at: datetime) -> bool:
        try:
            with _open(self.folder / path) as file:
                return _facts_of(file, path).fetched_at != fetched_at
        except FileCorrupt:
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other process from putting a file in its place, or taking one from it.

        Else a look at a file and what follows from it may be about two different files.
        """
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def version(self, path: str) -> tuple[int, int]:
        """Return size and modification time (ns) of the file at `path` (relative).

        Raises `FileMissing`; `FileCorrupt` for what is not a regular file; `StoreUnavailable` when
        the source's folder is away, and `StoreFailed` when the machine does not let us look.
        """
        try:
            status = (self.folder / path).lstat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._absent(path) from error
        except OSError as error:
            raise StoreFailed(f"{path} could not be read: {error.strerror}.") from error
        if not stat.S_ISREG(status.st_mode):
            raise not_regular(path)
        return status.st_size, status.st_mtime_ns

    def is_present(self, source: str) -> bool:
        """Return whether the source's folder is there; an empty mount point is not."""
        return is_present(self.folder / source)

    def accept(self, source: str) -> None:
        """Take the source's folder for the right one, though it is empty; make it if need be."""
        with _store_failures(self.folder / source):
            mark(self.folder / source)

    def unavailable(self, source: str) -> StoreUnavailable:
        """Return the error that says that the source's folder is away."""
        return StoreUnavailable(
            f"The folder datasets/{source} is not there or empty, though the catalog has datasets in it: its disk "
            "may not be mounted. No dataset was marked as missing. Mount the disk and ask again; if the files were "
            "deleted on purpose, run `manage.py datasets rebuild --accept-empty`."
        )

    def _absent(self, path: str) -> FileMissing | StoreUnavailable:
        source = path.partition("/")[0]
        if not self.is_present(source):
            return self.unavailable(source)
        return FileMissing(f"{path} is not there.")


@contextmanager
def _written(table: pa.Table, folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Write and sync a new temporary file; remove it afterwards if it is still there."""
    # Not by `mkstemp`: its files are readable by their owner only, and the web process
    # may be another user.
    while True:
        # In the same folder, so that the replacing is one rename.
        path = folder / f".{uuid4().hex}.tmp"
        try:
            with path.open("xb") as file:
                # Held until the file is closed, also by a kill: what is not held is a stray.
                fcntl.flock(file, fcntl.LOCK_EX)
                # Else a worker that was starting came between the two lines above.
                if os.fstat(file.fileno()).st_nlink:
                    # Measured for 5,000 bars: zstd without a dictionary is the smallest and the fastest.
                    pq.write_table(table, file, compression="zstd", use_dictionary=False)
                    file.flush()
                    os.fsync(file.fileno())
                    yield path, os.fstat(file.fileno())
                    return
        finally:
            path.unlink(missing_ok=True)


def _make_durably(folder: Path) -> None:
    """Make a folder with those above it, and have a power cut leave them there."""
    if not folder.parent.is_dir():
        _make_durably(folder.parent)
    folder.mkdir(exist_ok=True)
    with _opened(folder.parent) as above:
        os.fsync(above)


def _sync_folder(descriptor: int) -> None:
    os.fsync(descriptor)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder; syncing it makes a rename in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _store_failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the write failed"
        raise StoreFailed(
            f"{path.name} could not be written: {reason}. Nothing was changed; "
            "make room or mend the folder's permissions, then fetch again."
        ) from error


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise StoreFailed(f"{path} could not be deleted: {error.strerror}.") from error


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        _, source = map_file(path)
        with source, pq.ParquetFile(source) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileMissing(f"{path.name} is not there.") from error
    except (pa.ArrowException, OSError) as error:
        # Too many open files, or a disk that does not answer, says nothing of this file.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            reason = os.strerror(error.errno)
            raise StoreFailed(f"{path.name} could not be read: {reason}.") from error
        raise FileCorrupt(f"{path.name} is no readable parquet file.") from error


def _facts_of(file: pq.ParquetFile, path: str) -> FileFacts:
    metadata = file.schema_arrow.metadata or {}
    try:
        return from_document(metadata[METADATA_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{path} does not say which dataset it is.") from error
