"""Store: the datasets' files below one folder; no other module changes that folder.

A file is replaced, never edited. Its metadata describes it completely, so the catalog can be
rebuilt from the files alone.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FileCorrupt, FileMissing, StoreFailed, StoreUnavailable
from datasets.storage import atomic_write, removals
from datasets.storage.atomic_write import store_failures
from datasets.storage.dataset_file import PreparedFile, StoredFile, facts_of, read_file
from datasets.storage.memory_map import not_regular
from datasets.storage.metadata import METADATA_KEY, describe, to_document
from datasets.storage.parquet_file import open_parquet, temporary_parquet
from datasets.storage.paths import SUFFIX, relative_path, superseded_mark
from datasets.storage.presence import is_marked, is_present, mark


class Store:
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

    def write(self, key: DatasetKey, fetched: FetchedBars) -> StoredFile:
        """Write the key's file and return the stored file.

        A reader sees the old file or the new file, never a part. After the return the new
        file survives a power cut. Raises `StoreFailed`; the old file is then unchanged.
        """
        with self.prepared(key, fetched) as prepared:
            return prepared.put_in_place()

    @contextmanager
    def prepared(self, key: DatasetKey, fetched: FetchedBars) -> Iterator[PreparedFile]:
        """Write and sync the key's new file under a temporary name, which can be slow.

        In the block, `put_in_place` replaces the old file by a rename. After the block the new
        file survives a power cut, or the old file is unchanged. Raises `StoreFailed`.
        """
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
            stored = StoredFile(facts, status.st_size, status.st_mtime_ns)
            prepared = PreparedFile(path, temporary, stored, self._locked)
            yield prepared
            if prepared.is_in_place:
                with store_failures(path):
                    atomic_write.sync_folder(folder)

    def all_paths(self) -> Iterator[str]:
        """Yield the relative path of every file with the name of a dataset, sorted."""
        for path in sorted(self.folder.glob(f"*/*{SUFFIX}")):
            yield path.relative_to(self.folder).as_posix()

    def delete(self, path: str, *, fetched_at: datetime, aside: str = "") -> bool:
        """Delete the file at `path` (relative), if it exists and was fetched at `fetched_at`.

        With `aside` the file is moved to that folder beside the datasets, with the time in its
        name. Returns False, and deletes nothing, when the file is of another fetch. A file that
        is no dataset is deleted too. Raises `StoreFailed`, and `StoreUnavailable` when the source's
        folder is absent.
        """
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
        """Mark the file at `path` as contradicted by a newer fetch, until the file is replaced.

        Raises `StoreError` where the file is missing, `StoreFailed` and `StoreUnavailable`.
        """
        file = self.folder / path
        document = json.dumps({"name": file.name, "version": self.version(path)})
        with (
            store_failures(file),
            atomic_write.temporary_file(file.parent) as (temporary, out),
        ):
            out.write(document.encode())
            out.flush()
            temporary.replace(file.parent / superseded_mark(file.name))

    def quarantine(self, path: str) -> Path | None:
        """Move the file at `path` (relative) to `quarantine/`; return its new path.

        Returns None, and moves nothing, when the path has a readable dataset or no file by
        now. The folder stands beside the datasets; the file's name gets the time.
        """
        with store_failures(self.folder / path), self._locked(), suppress(FileMissing):
            try:
                read_file(self.folder, path)
            except FileCorrupt:
                return removals.move_aside(self.folder, path, removals.QUARANTINE)
        return None

    def remove_strays(self) -> int:
        """Remove temporary files of dead writers; return their number."""
        return atomic_write.remove_strays(self.folder.glob("*/.*.tmp"))

    def free_bytes(self) -> int:
        """Return the free bytes of the datasets' disk."""
        folder = self.folder if self.folder.exists() else self.folder.parent
        return shutil.disk_usage(folder).free

    def keep_reply(self, name: str, reply: bytes) -> None:
        """Keep a rejected reply beside the datasets, for the operator. Raises `StoreFailed`."""
        removals.keep_reply(self.folder.parent, name, reply)

    def purge_removed(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete the removed files and rejected replies that came beside the datasets before this instant.

        Returns their number and their size in bytes. Raises `StoreFailed`.
        """
        return removals.purge(self.folder.parent, before, dry_run=dry_run)

    def read(self, path: str) -> tuple[pa.Table, StoredFile]:
        """Return the bars of the file at `path` (relative), and the stored file.

        The table has `BAR_SCHEMA`, oldest bar first. Raises `FileMissing` when the
        file was deleted, and `FileCorrupt` when it is unreadable, or holds other bars than were
        written, or bars of another key.
        """
        while True:
            version = self.version(path)
            try:
                table, facts = read_file(self.folder, path)
            except FileMissing:
                raise self._absent(path) from None
            except FileCorrupt:
                # A file that was replaced during the read is read again.
                if version == self.version(path):
                    raise
                continue
            if version == self.version(path):
                return table, StoredFile(facts, *version)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude every other process from replacing or moving files in this block.

        Without the lock, a check of a file and the action after it could see different files.
        """
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def version(self, path: str) -> tuple[int, int]:
        """Return size and modification time (ns) of the file at `path` (relative).

        Raises `FileMissing`; `FileCorrupt` for a path that is not a regular file; `StoreUnavailable` when
        the source's folder is absent, and `StoreFailed` when the machine refuses the access.
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
        """Return whether the source's folder is present; an empty mount point is not."""
        return is_present(self.folder / source)

    def accept(self, source: str) -> None:
        """Accept the source's folder as present although it is empty; make it if it is missing."""
        with store_failures(self.folder / source):
            mark(self.folder / source)

    def unavailable(self, source: str) -> StoreUnavailable:
        """Return the error for a source whose folder is absent."""
        return StoreUnavailable(
            f"The folder datasets/{source} is absent or empty, but the catalog has datasets in it: its disk "
            "may not be mounted. No dataset was marked as missing. Mount the disk and try again. If the files were "
            "deleted on purpose, run `manage.py datasets rebuild --accept-empty`."
        )

    def _absent(self, path: str) -> FileMissing | StoreUnavailable:
        source = path.partition("/")[0]
        if not self.is_present(source):
            return self.unavailable(source)
        return FileMissing(f"{path} does not exist.")
