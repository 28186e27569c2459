"""Store of datasets in a folder on this machine or on a shared disk; no other module changes that folder."""

from __future__ import annotations

import fcntl
import json
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FileCorrupt, FileMissing, StoreFailed, StoreUnavailable
from datasets.storage import atomic_write, removals
from datasets.storage.atomic_write import store_failures
from datasets.storage.dataset_file import PreparedFile, StoredFile, facts_of, read_bars
from datasets.storage.memory_map import map_file, not_regular
from datasets.storage.metadata import METADATA_KEY, FileFacts, describe, to_document
from datasets.storage.parquet_file import open_parquet, temporary_parquet
from datasets.storage.paths import SUFFIX, relative_path, superseded_mark
from datasets.storage.presence import is_marked, is_present, mark
from datasets.storage.store import Store


class FolderStore(Store):
    """The datasets below one folder.

    Parameters
    ----------
    folder
        `outputs/datasets`; the first write makes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: DatasetKey) -> Path:
        """Return the path of the key's file, whether or not the file exists."""
        return self.folder / relative_path(key)

    @contextmanager
    def prepared(self, key: DatasetKey, fetched: FetchedBars) -> Iterator[PreparedFile]:
        # The temporary file is synced here; `put_in_place` is a rename.
        path = self.path(key)
        with ExitStack() as stack:
            with store_failures(path):
                facts = describe(key, fetched)
                table = fetched.table.replace_schema_metadata({METADATA_KEY: to_document(facts)})
                if not is_marked(path.parent):
                    atomic_write.make_durably(path.parent)
                    mark(path.parent)
                # Opened first: after the replacement, no missing descriptor may stop the sync.
                folder = stack.enter_context(atomic_write.opened_folder(path.parent))
                temporary, status = stack.enter_context(temporary_parquet(table, path.parent))
            stored = StoredFile(facts, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")
            prepared = PreparedRename(path, temporary, stored, self._locked)
            yield prepared
            if prepared.is_in_place:
                with store_failures(path):
                    atomic_write.sync_folder(folder)

    def all_paths(self) -> Iterator[str]:
        # The names of one source in memory, not the paths of all.
        for source in sorted(self.folder.glob("*")):
            names = sorted(each.name for each in source.glob(f"*{SUFFIX}"))
            yield from (f"{source.name}/{name}" for name in names)

    def delete(self, path: str, *, fetched_at: datetime, aside: str = "") -> bool:
        source = path.partition("/")[0]
        if not self.is_present(source):
            raise self.unavailable(source)
        try:
            with suppress(FileMissing, FileNotFoundError), self._locked():
                with suppress(FileCorrupt), open_parquet(self.folder / path) as opened:
                    if facts_of(opened, path).fetched_at != fetched_at:
                        return False
                if aside:
                    removals.move_aside(self.folder, path, aside)
                else:
                    (self.folder / path).unlink()
        except OSError as error:
            verb = "moved" if aside else "deleted"
            raise StoreFailed(
                f"{path} could not be {verb}: {error.strerror}. The file and its row are unchanged."
            ) from error
        return True

    def mark_superseded(self, path: str) -> None:
        file = self.folder / path
        document = json.dumps({"name": file.name, "version": self._size_and_time(path)})
        with (
            store_failures(file),
            atomic_write.temporary_file(file.parent) as (temporary, out),
        ):
            out.write(document.encode())
            out.flush()
            temporary.replace(file.parent / superseded_mark(file.name))

    def quarantine(self, path: str) -> Path | None:
        with store_failures(self.folder / path), self._locked(), suppress(FileMissing):
            try:
                self._read_bars(path)
            except FileCorrupt:
                return removals.move_aside(self.folder, path, removals.QUARANTINE)
        return None

    def remove_strays(self) -> int:
        return atomic_write.remove_strays(self.folder.glob("*/.*.tmp"))

    def free_bytes(self) -> int:
        folder = self.folder if self.folder.exists() else self.folder.parent
        return shutil.disk_usage(folder).free

    def keep_reply(self, name: str, reply: bytes) -> None:
        removals.keep_reply(self.folder.parent, name, reply)

    def read_beside(self, name: str) -> pa.BufferReader:
        return map_file(self.folder.parent / name)[1]

    def put_beside(self, name: str, temporary: Path) -> None:
        temporary.replace(self.folder.parent / name)

    def purge_removed(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        return removals.purge(self.folder.parent, before, dry_run=dry_run)

    def read(self, path: str, *, recorded: str = "") -> tuple[pa.Table, StoredFile]:
        while True:
            size, modified_ns = self._size_and_time(path)
            try:
                table, facts = self._read_bars(path)
            except FileMissing:
                raise self._absent(path) from None
            except FileCorrupt:
                # A file that was replaced during the read is read again.
                if (size, modified_ns) == self._size_and_time(path):
                    raise
                continue
            if (size, modified_ns) == self._size_and_time(path):
                return table, StoredFile(facts, size, f"{size}-{modified_ns}")

    def _read_bars(self, path: str) -> tuple[pa.Table, FileFacts]:
        with open_parquet(self.folder / path) as file:
            return read_bars(file, path)

    def local_path(self, path: str, version: str) -> Path:
        return self.folder / path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude every other process from replacing or moving files in this block.

        Without the lock, a check of a file and the action after it could see different files.
        """
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def version(self, path: str) -> str:
        return "{}-{}".format(*self._size_and_time(path))

    def is_current(self, path: str, version: str) -> bool:
        return self.version(path) == version

    def lookup(self) -> Callable[[str], str]:
        return self.version

    def _size_and_time(self, path: str) -> tuple[int, int]:
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
        return is_present(self.folder / source)

    def accept(self, source: str) -> None:
        with store_failures(self.folder / source):
            mark(self.folder / source)

    def unavailable(self, source: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"The folder datasets/{source} is absent or empty, but the catalog has datasets in it: its disk "
            "may not be mounted. No dataset was marked as missing. Mount the disk and try again. If the files were "
            "deleted on purpose, run `manage.py datasets rebuild --accept-empty`."
        )


class PreparedRename:
    """A dataset's new file, synced under a temporary name in the folder of the old file."""

    def __init__(
        self,
        path: Path,
        temporary: Path,
        stored: StoredFile,
        lock: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.is_in_place = False
        self._path = path
        self._temporary = temporary
        self._stored = stored
        self._lock = lock

    def put_in_place(self) -> StoredFile:
        with store_failures(self._path), self._lock():
            self._temporary.replace(self._path)
            self.is_in_place = True
        return self._stored
