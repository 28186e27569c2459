"""Local copies of objects: a cache on this machine's disk that all its processes share."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

import pyarrow as pa

from datasets.errors import FileCorrupt
from datasets.lru_cache import LruCache
from datasets.storage.atomic_write import put
from datasets.storage.buckets.bucket_objects import Bucket, StoredObject
from datasets.storage.memory_map import map_file

# The SHA-256 of the content stands behind the content, so that one rename puts both in place.
_HASH_BYTES = 32
# The modification time of a copy is its last use, exact to this number of seconds.
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
        stored = bucket.get(name)
        self.keep(bucket, name, stored)
        return stored

    def find(self, bucket: Bucket, name: str, version: str) -> pa.Buffer | None:
        """Return the content of the copy, mapped; None where there is no whole copy."""
        path = self._path(bucket, name, version)
        try:
            status, reader = map_file(path)
        except (OSError, FileCorrupt):
            return None
        content = reader.read_buffer()
        if not self._is_whole(path, content):
            return None
        if time.time() - status.st_mtime > _USE_S:
            with suppress(OSError):
                os.utime(path)
        return content.slice(0, content.size - _HASH_BYTES)

    def _is_whole(self, path: Path, content: pa.Buffer) -> bool:
        if self._checked.find(path.name) is None:
            body = memoryview(content)
            end = len(body) - _HASH_BYTES
            if end < 0 or hashlib.sha256(body[:end]).digest() != bytes(body[end:]):
                return False
            self._checked.keep(path.name, True)
        return True

    def keep(self, bucket: Bucket, name: str, stored: StoredObject) -> None:
        """Keep a copy of the object; a disk that is full or read-only only means that there is none."""
        if stored.content.size > self.max_bytes // _SHARE:
            return
        path = self._path(bucket, name, stored.version)
        content = memoryview(stored.content)
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            put(path, content, hashlib.sha256(content).digest())
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
                    found.append((status.st_mtime, status.st_size, entry.path))
        n_bytes = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if n_bytes <= self.max_bytes:
                break
            with suppress(FileNotFoundError):
                Path(path).unlink()
            n_bytes -= size

    def _path(self, bucket: Bucket, name: str, version: str) -> Path:
        text = f"{bucket.address}\n{name}\n{version}"
        return self.folder / hashlib.sha256(text.encode()).hexdigest()
