"""The marker file of a source's folder; an empty mount point has no marker."""

from __future__ import annotations

from pathlib import Path

MARKER = ".datasets"
MARKER_TEXT = "This file tells a folder without datasets from the mount point of a disk that is away. Leave it here.\n"
# Files that show that a folder without a marker is no mount point: datasets, and documents of series.
_DATASETS, _ARCHIVES = "*.parquet", "*/series.json"


def is_present(folder: Path) -> bool:
    """Return whether the folder of one source's datasets has its marker, or a dataset in it."""
    return is_marked(folder) or next(folder.glob(_DATASETS), None) is not None


def has_archives(folder: Path) -> bool:
    """Return whether the folder of one source's archives has its marker, or an archive in it."""
    return is_marked(folder) or next(folder.glob(_ARCHIVES), None) is not None


def is_empty_mount(folder: Path) -> bool:
    """Return whether the folder of one source's archives, or the folder of all, is there and empty.

    Without the catalog nothing else tells a disk that is away from a source without archives.
    """
    above = folder.parent
    is_above_empty = above.is_dir() and next(above.iterdir(), None) is None
    return is_above_empty or (folder.is_dir() and not has_archives(folder))


def is_marked(folder: Path) -> bool:
    """Return whether the folder of one source has its marker."""
    return (folder / MARKER).exists()


def mark(folder: Path) -> None:
    """Make the folder of one source, with its marker."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(MARKER_TEXT)
