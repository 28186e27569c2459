"""The marker file of a source's folder; an empty mount point has no marker."""

from __future__ import annotations

from pathlib import Path

MARKER = ".datasets"
_TEXT = "This file tells a folder without datasets from the mount point of a disk that is away. Leave it here.\n"


def is_present(folder: Path) -> bool:
    """Return whether the folder of one source has its marker, or a dataset in it."""
    return is_marked(folder) or next(folder.glob("*.parquet"), None) is not None


def is_marked(folder: Path) -> bool:
    """Return whether the folder of one source has its marker."""
    return (folder / MARKER).exists()


def mark(folder: Path) -> None:
    """Make the folder of one source, with its marker."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(_TEXT)
