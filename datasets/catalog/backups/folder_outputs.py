"""The outputs folder in a backup and a restore."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from datasets.catalog import outputs
from datasets.catalog.backups.manifest import Manifest, Outcome
from datasets.errors import BackupFailed
from datasets.storage.archives.series_copies import copy_archives

DATASETS, ARCHIVES = "datasets", "archive"
# Temporary files and locks are not part of a backup.
_LEFT_OUT = (".tmp", ".lock")


class OutputsFiles(Protocol):
    """The datasets and archives of this service, for a backup."""

    def copy_to(self, folder: Path, outcome: Outcome) -> None:
        """Copy all files into `folder`, in the layout of an outputs folder. Raises `OSError` and `StoreUnavailable`."""

    def list_objects(self, outcome: Outcome) -> Manifest:
        """Read all files, and return a manifest without copies. Raises `BackupFailed` for a folder."""

    def compare_with(self, manifest: Manifest, outcome: Outcome) -> None:
        """Compare the files with a manifest without copies. Raises `BackupFailed`."""

    def taken(self) -> list[str]:
        """Return the places that already have files."""

    def move_aside(self, stamp: str) -> None:
        """Move the present files to a name with this stamp."""

    def copy_from(self, folder: Path, outcome: Outcome) -> None:
        """Copy the files of a backup into place, and check each archive. Raises `OSError` and `StoreUnavailable`."""


class FolderOutputs:
    """The files in the outputs folder; the methods are those of `OutputsFiles`."""

    def __init__(self) -> None:
        self._datasets, self._archives = (
            outputs.get_folder_store().folder,
            outputs.archive_root(),
        )

    def copy_to(self, folder: Path, outcome: Outcome) -> None:
        """Copy all files. The copies are hard links if both folders are on one disk: a dataset's file is never edited."""
        _copy_datasets(self._datasets, folder / DATASETS, outcome)
        _copy_archives(self._archives, folder / ARCHIVES, outcome, is_in_use=True)

    def list_objects(self, outcome: Outcome) -> Manifest:
        """Refuse: a folder keeps no versions."""
        raise BackupFailed(
            "--without-files is for a bucket that keeps its own versions. The files of this service are in a folder: "
            "leave the option out, so that they are copied. No backup was made."
        )

    def compare_with(self, manifest: Manifest, outcome: Outcome) -> None:
        """Refuse: the objects of the backup are in a bucket."""
        raise BackupFailed(
            f"This backup has no files; they are in {manifest.bucket}. Set OUTPUTS_URL to this bucket, or to a copy "
            "of it, and restore again. Nothing was restored."
        )

    def taken(self) -> list[str]:
        """Return the folders that already have files."""
        return [str(path) for path in self._taken()]

    def _taken(self) -> list[Path]:
        taken = [self._datasets] if any(p.is_file() for p in self._datasets.glob("*/*")) else []
        return [*taken, *([self._archives] if self._archives.exists() else [])]

    def move_aside(self, stamp: str) -> None:
        """Rename the folders."""
        for path in self._taken():
            path.rename(path.with_name(f"{path.name}.before-restore-{stamp}"))

    def copy_from(self, folder: Path, outcome: Outcome) -> None:
        """Copy the files of a backup into the folders."""
        _copy_datasets(folder / DATASETS, self._datasets, outcome)
        _copy_archives(folder / ARCHIVES, self._archives, outcome, is_in_use=False)


def _copy_datasets(source: Path, target: Path, outcome: Outcome) -> None:
    for path in sorted(source.glob("*/*")):
        if path.suffix in _LEFT_OUT or path.name in _LEFT_OUT or not path.is_file():
            continue
        name = path.relative_to(source).as_posix()
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        # A file deleted or invalidated after it was listed is not part of the backup.
        with suppress(FileNotFoundError):
            try:
                (target / name).hardlink_to(path)
            except FileNotFoundError:
                raise
            except OSError:
                # Another disk, or a file system without hard links.
                shutil.copy2(path, target / name)
            outcome.n_files += 1


def _copy_archives(source: Path, target: Path, outcome: Outcome, *, is_in_use: bool) -> None:
    n_files, faults = copy_archives(source, target, is_in_use=is_in_use)
    outcome.n_files += n_files
    outcome.faults += faults
