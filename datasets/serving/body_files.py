"""Replies that were rendered once, as files on this machine's disk; all of them can be deleted at any time."""

from __future__ import annotations

import logging
import os
import zlib
from pathlib import Path
from threading import Lock

import orjson

from datasets.serving.body_cache import Rendered
from datasets.storage.atomic_write import put

# A file takes whole blocks of the disk.
_BLOCK = 4096
# The folder is looked through each time that so large a part of `max_bytes` has been written.
_PART = 16

logger = logging.getLogger(__name__)


class RenderedFiles:
    """The most recently used replies, about `max_bytes` of them, shared by all processes of a machine.

    A file is a line of JSON and the body. It is put in place whole, and one that a power cut
    has spoilt is deleted when it is met.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        # More than there can be, so that the first file has the folder looked through.
        self._n_written = max_bytes

    def find(self, name: str) -> Rendered | None:
        """Return the reply that is kept under `name`, or None."""
        path = self._folder / name
        try:
            content = path.read_bytes()
        except OSError:
            return None
        found = _read(content)
        try:
            if found is None:
                path.unlink()
            else:
                os.utime(path)
        except OSError as error:
            logger.warning("%s stays as it is: %s", path, error)
        return found

    def keep(self, name: str, rendered: Rendered) -> None:
        """Keep the reply under `name`; where it cannot be written, nothing is kept."""
        content = _written(rendered)
        if len(content) > self._max_bytes // 4:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            put(self._folder / name, content)
            self._make_room(_on_disk(len(content)))
        except OSError as error:
            logger.warning("a rendered reply was not kept on disk: %s", error)

    def _make_room(self, n_bytes: int) -> None:
        with self._lock:
            self._n_written += n_bytes
            if self._n_written < self._max_bytes // _PART:
                return
            self._n_written = 0
        self.prune()

    def prune(self) -> None:
        """Delete the least recently used files until the others fit."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    # Another process deletes too.
                    continue
                found.append((status.st_mtime_ns, _on_disk(status.st_size), entry.path))
        n_bytes = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if n_bytes <= self._max_bytes:
                return
            Path(path).unlink(missing_ok=True)
            n_bytes -= size


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _written(rendered: Rendered) -> bytes:
    head = {
        "etag": rendered.etag,
        "is_gzip": rendered.is_gzip,
        "headers": rendered.headers,
        "crc32": zlib.crc32(rendered.body),
        "n_bytes": len(rendered.body),
    }
    return orjson.dumps(head) + b"\n" + rendered.body


def _read(content: bytes) -> Rendered | None:
    """Return the reply that a file holds; None where it is not whole."""
    line, _, body = content.partition(b"\n")
    try:
        head = orjson.loads(line)
        if (head["n_bytes"], head["crc32"]) != (len(body), zlib.crc32(body)):
            return None
        headers = tuple((str(name), str(value)) for name, value in head["headers"])
        return Rendered(body, str(head["etag"]), bool(head["is_gzip"]), headers)
    except (KeyError, TypeError, ValueError):
        return None
