"""Copies of archives, for backups: each series in one state, while the service runs."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from datasets.errors import StoreError, StoreFailed
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.folder_files import LOCK, link_or_copy
from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.storage.archives.series_writer import writing


def copy_archives(root: Path, target: Path, *, is_in_use: bool) -> tuple[int, list[str]]:
    """Copy all archives below `root` to `target`, and read each copy to its end.

    With `is_in_use` a series is locked while its files are copied. The copies are hard links where
    both folders are on one disk. Returns the number of files, and a sentence for each archive
    that is damaged. Raises `OSError`.
    """
    n_files, faults = 0, []
    for document in sorted(root.glob(f"*/*/{DOCUMENT_NAME}")):
        series = document.parent
        try:
            # No process writes to a disk that is read-only, and a lock cannot be taken there.
            is_writable = is_in_use and os.access(series, os.W_OK)
            with writing(SeriesFolder(series)) if is_writable else nullcontext():
                for path in sorted(series.rglob("*")):
                    name = path.relative_to(root)
                    if path.is_file() and path.name != LOCK:
                        (target / name).parent.mkdir(parents=True, exist_ok=True)
                        link_or_copy(path, target / name)
                        n_files += 1
            read_range(SeriesFolder(target / series.relative_to(root)))
        except (StoreError, StoreFailed) as error:
            faults.append(f"{series.relative_to(root)}: {error}")
    return n_files, faults
