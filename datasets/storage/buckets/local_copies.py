"""Local copies of objects: a cache on this machine's disk that all its processes share."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

import pyarrow as pa

from datasets.errors import FileCorrupt, FileMissing
from datasets.lru_cache import LruCache
from datasets.storage.atomic_write import put
from datasets.storage.buckets.bucket_objects import Bucket, StoredObject
from datasets.storage.memory_map import map_file

# The file beside a copy with the SHA-256 of its content.
_HASH_SUFFIX = ".sha256"
# The access time of a copy is its last use, exact to this number of seconds.
_USE_S = 60.0
# The folder is tidied when one process has added this share of its limit.
_SHARE = 16


class LocalCopies:
    """Copies of objects in one folder, each named by bucket, object and version.

    A copy never changes, so it is written once by rename and read by a memory map. Its SHA-256 is
    compared at the first read of each process; a damaged copy is fetched again. The folder may
    exceed `max_bytes` by a sixteenth for each process that writes; the copies that were not
    used for longest are removed. Removing files or the whole folder by hand does no harm.

    Parameters
    ----------
    folder
        A folder on this machine, `STATE_DIR/objects`; the first copy makes it.
    max_bytes
        The room for all copies together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._checked: LruCache[str, bool] = LruCache(65_536)
        self._n_added = 0
        self._lock = Lock()

    def read(self, bucket: Bucket, name: str, version: str) -> StoredObject:
        """Return the object, from its copy where there is one of this version.

        The object that the bucket gives can be newer than `version`. Errors as for `Bucket.get`.
        """
        found = self.find(bucket, name, version)
        if found is not None:
            return StoredObject(found, version)
        return self.fetch(bucket, name)

    def fetch(self, bucket: Bucket, name: str) -> StoredObject:
        """Return the object as the bucket has it now, by one request, and keep a copy. Errors as for `Bucket.get`."""
        stored = bucket.get(name)
        self.keep(bucket, name, stored)
        return stored

    def path(self, bucket: Bucket, name: str, version: str) -> Path:
        """Return the path of a whole copy, for programs that read files.

        Raises `FileMissing` where the object has another version by now, `OSError` where this
        machine's disk takes no copy, and errors as for `Bucket.get`.
        """
        if self.find(bucket, name, version) is None:
            stored = bucket.get(name)
            if stored.version != version:
                raise FileMissing(f"{name} was replaced meanwhile.")
            self._write(self._path(bucket, name, version), memoryview(stored.content))
        return self._path(bucket, name, version)

    def has(self, bucket: Bucket, name: str, version: str) -> bool:
        """Return whether there is a copy of this version; it can be damaged."""
        return self._path(bucket, name, version).exists()

    def find(self, bucket: Bucket, name: str, version: str) -> pa.Buffer | None:
        """Return the content of the copy, mapped; None where there is no whole copy."""
        path = self._path(bucket, name, version)
        try:
            status, reader = map_file(path)
            content = reader.read_buffer()
            if not self._is_whole(path, content):
                return None
            now = time.time()
            if now - status.st_atime > _USE_S:
                os.utime(path, (now, status.st_mtime))
        except (OSError, FileCorrupt):
            return None
        return content

    def _is_whole(self, path: Path, content: pa.Buffer) -> bool:
        if self._checked.find(path.name) is None:
            if path.with_suffix(_HASH_SUFFIX).read_bytes() != hashlib.sha256(content).digest():
                return False
            self._checked.keep(path.name, True)
        return True

    def keep(self, bucket: Bucket, name: str, stored: StoredObject) -> None:
        """Keep a copy of the object; where the disk is full or read-only there is none."""
        if stored.content.size <= self.max_bytes // _SHARE:
            with suppress(OSError):
                self._write(self._path(bucket, name, stored.version), memoryview(stored.content))

    def _write(self, path: Path, content: memoryview) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # The hash first: a copy without a hash counts as damaged.
        put(path.with_suffix(_HASH_SUFFIX), hashlib.sha256(content).digest())
        put(path, content)
        # One modification time on all hosts: replies derive their ETag from it.
        os.utime(path, (time.time(), 0))
        self._checked.keep(path.name, True)
        with self._lock:
            self._n_added += len(content)
            is_due = self._n_added > self.max_bytes // _SHARE
            self._n_added = 0 if is_due else self._n_added
        if is_due:
            self.tidy()

    def tidy(self) -> None:
        """Remove the copies that were not used for longest, until all fit into `max_bytes`. Raises `OSError`."""
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                # Another process may remove it at the same time.
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    found.append((status.st_atime, status.st_size, entry.path))
        n_bytes = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if n_bytes <= self.max_bytes:
                break
            Path(path).unlink(missing_ok=True)
            n_bytes -= size

    def _path(self, bucket: Bucket, name: str, version: str) -> Path:
        text = f"{bucket.address}\n{name}\n{version}"
        return self.folder / hashlib.sha256(text.encode()).hexdigest()
