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
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FileCorrupt, FileMissing, StoreFailed, StoreUnavailable
from datasets.storage import replacement
from datasets.storage.dataset_file import StoredFile, facts_of, open_file, read_file
from datasets.storage.memory_map import not_regular
from datasets.storage.metadata import METADATA_KEY, describe, to_document
from datasets.storage.paths import MAX_NAME_BYTES, SUFFIX, relative_path, superseded_mark
from datasets.storage.presence import is_marked, is_present, mark

# Folders beside the datasets: unreadable files, deleted and invalidated datasets, and replies
# that our code did not understand.
_QUARANTINE = "quarantine"
TRASH = "trash"
INVALIDATED = "invalidated"
_REJECTED = "rejected"


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
    def prepared(self, key: DatasetKey, fetched: FetchedBars) -> Iterator[replacement.PreparedFile]:
        """Write and sync the key's new file under a temporary name, which can be slow.

        In the block, `put_in_place` replaces the old file by a rename. After the block the new
        file survives a power cut, or the old file is unchanged. Raises `StoreFailed`.
        """
        path = self.path(key)
        with ExitStack() as stack:
            with replacement.store_failures(path):
                facts = describe(key, fetched)
                table = fetched.table.replace_schema_metadata({METADATA_KEY: to_document(facts)})
                if not is_marked(path.parent):
                    replacement.make_durably(path.parent)
                    mark(path.parent)
                # Opened first: after the replacement, no missing descriptor may stop the sync.
                folder = stack.enter_context(replacement.opened_folder(path.parent))
                temporary, status = stack.enter_context(replacement.written(table, path.parent))
            stored = StoredFile(facts, status.st_size, status.st_mtime_ns)
            prepared = replacement.PreparedFile(path, temporary, stored, self._alone)
            yield prepared
            if prepared.is_in_place:
                with replacement.store_failures(path):
                    replacement.sync_folder(folder)

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
        """Mark the file at `path` as contradicted by a newer fetch, until the file is replaced.

        Raises `StoreError` where the file is missing, `StoreFailed` and `StoreUnavailable`.
        """
        file = self.folder / path
        document = json.dumps({"name": file.name, "version": self.version(path)})
        temporary = file.parent / f".{uuid4().hex}.tmp"
        with replacement.store_failures(file):
            temporary.write_text(document)
            temporary.replace(file.parent / superseded_mark(file.name))

    def quarantine(self, path: str) -> Path | None:
        """Move the file at `path` (relative) to `quarantine/`; return its new path.

        Returns None, and moves nothing, when the path has a readable dataset or no file by
        now. The folder stands beside the datasets; the file's name gets the time.
        """
        with replacement.store_failures(self.folder / path), self._alone(), suppress(FileMissing):
            try:
                read_file(self.folder, path)
            except FileCorrupt:
                return self._set_aside(path, _QUARANTINE)
        return None

    def _set_aside(self, path: str, name: str) -> Path:
        """Move the file at `path` into the folder `name` beside the datasets; return its new path."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        folder = (self.folder.parent / name / path).parent
        # The dataset's name can already have the greatest length of a file name.
        target = folder / f"{Path(path).name[: MAX_NAME_BYTES - len(stamp) - 1]}.{stamp}"
        folder.mkdir(parents=True, exist_ok=True)
        # A rename, or a copy where the datasets have their own disk.
        shutil.move(self.folder / path, target)
        return target

    def remove_strays(self) -> int:
        """Remove temporary files of dead writers; return their number."""
        n_removed = 0
        for path in self.folder.glob("*/.*.tmp"):
            # Opening a pipe would block.
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                n_removed += 1
        return n_removed

    def free_bytes(self) -> int:
        """Return the free bytes of the datasets' disk."""
        folder = self.folder if self.folder.exists() else self.folder.parent
        return shutil.disk_usage(folder).free

    def keep_reply(self, name: str, reply: bytes) -> None:
        """Keep a reply that our code did not understand, for the operator, beside the datasets."""
        folder = self.folder.parent / _REJECTED
        with replacement.store_failures(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.txt").write_bytes(reply)

    def forget_set_aside(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete the files and replies that were moved beside the datasets before this instant.

        Returns their number and their bytes. Raises `StoreFailed`.
        """
        n_files = n_bytes = 0
        for folder in (_QUARANTINE, _REJECTED, TRASH, INVALIDATED):
            for path in sorted((self.folder.parent / folder).rglob("*")):
                status = path.lstat()
                # The time of the move; the time of the writing can be much earlier.
                if path.is_dir() or status.st_ctime >= before.timestamp():
                    continue
                if not dry_run:
                    try:
                        path.unlink()
                    except OSError as error:
                        reason = error.strerror
                        raise StoreFailed(f"{path} could not be deleted: {reason}.") from error
                n_files, n_bytes = n_files + 1, n_bytes + status.st_size
        return n_files, n_bytes

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

    def _is_of_another_fetch(self, path: str, fetched_at: datetime) -> bool:
        try:
            with open_file(self.folder / path) as file:
                return facts_of(file, path).fetched_at != fetched_at
        except FileCorrupt:
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Exclude every other process from replacing or moving files in this block.

        Without the lock, a check of a file and the action after it could see different files.
        """
        with (self.folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def version(self, path: str) -> tuple[int, int]:
        """Return size and modification time (ns) of the file at `path` (relative).

        Raises `FileMissing`; `FileCorrupt` for what is not a regular file; `StoreUnavailable` when
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
        with replacement.store_failures(self.folder / source):
            mark(self.folder / source)

    def unavailable(self, source: str) -> StoreUnavailable:
        """Return the error for a source whose folder is absent."""
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
