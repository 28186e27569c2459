"""Copies of files of a service or of a bucket, each with the version of the original beside it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa

from datasets.storage.atomic_write import put, status_of

_TAG = ".etag"


def copies_folder(origin: str) -> Path:
    """Return the folder on this machine for copies from a service or a bucket, by its address."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(origin.encode()).hexdigest()[:16]
    return caches / "tradingview-datasets" / name


def keep_copy(path: Path, content: bytes | pa.Buffer, version: str) -> None:
    """Write the copy of a file, and the version of the original. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    status = put(path, memoryview(content))
    put(path.with_suffix(_TAG), json.dumps([*status, version]).encode())


def version_of_copy(path: Path) -> str:
    """Return the version of the original of a copy; an empty text where there is no copy.

    The stored version counts only for the file that it was stored with: another process may have
    replaced either file.
    """
    try:
        *copied, version = json.loads(path.with_suffix(_TAG).read_bytes())
        return str(version) if copied == [*status_of(path)] else ""
    except (OSError, ValueError, TypeError):
        return ""


def remove_copy(path: Path) -> None:
    """Remove a copy and its version. Raises `OSError`."""
    path.unlink(missing_ok=True)
    path.with_suffix(_TAG).unlink(missing_ok=True)
