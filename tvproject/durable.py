"""Atomic writes of small files that survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_durably(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a new file, or replace one, in a single step that survives a power cut."""
    draft = path.with_name(f".{uuid4().hex}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
            file.flush()
            # Before the rename: otherwise a power cut may leave the new name with an empty file.
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, so that they survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
