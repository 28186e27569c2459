"""LRU cache of rendered reply bodies on disk. Its files may be deleted at any time."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from threading import Lock

from datasets.serving.reply_bodies.body_cache import Rendered
from datasets.storage import put

# A file takes whole blocks of the disk; bytes.
_BLOCK = 4096
# The folder is pruned each time that one part of this number of `max_bytes` has been written.
_PART = 16

logger = logging.getLogger(__name__)


class RenderedFiles:
    """LRU cache of about `max_bytes` in files, shared by all processes of a machine.

    A file is a line of JSON and the body. Files are written atomically; a file that a power cut
    damaged is deleted when it is read.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        # Starts at the limit, so that the first file of a process prunes the folder.
        self._n_written = max_bytes

    def find(self, name: str) -> Rendered | None:
        """Return the body under `name`, or None."""
        path = self._folder / name
        try:
            content = path.read_bytes()
        except OSError:
            return None
        found = Rendered.from_file(content)
        try:
            if found is None:
                path.unlink()
            else:
                os.utime(path)
        except OSError as error:
            logger.warning("%s stays as it is: %s", path, error)
        return found

    def keep(self, name: str, rendered: Rendered) -> None:
        """Write the body under `name`; a failed write is logged and changes nothing."""
        content = rendered.as_file()
        if len(content) > self._max_bytes // 4:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            put(self._folder / name, content)
            with self._lock:
                self._n_written += _on_disk(len(content))
                is_prune_due = self._n_written >= self._max_bytes // _PART
                if is_prune_due:
                    self._n_written = 0
            if is_prune_due:
                self.prune()
        except OSError as error:
            logger.warning("a rendered reply was not kept on disk: %s", error)

    def prune(self) -> None:
        """Delete the least recently used files until the others fit."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    # Another process prunes the folder too.
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
