"""Backups of a running service: the datasets' files, the archives and the catalog.

A backup has the layout of the outputs folder. The manifest is written last: a folder without
a manifest is an incomplete backup, and is not restored.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from datasets import catalog
from datasets.catalog import Finding, adoption, catalog_dump, outputs
from datasets.errors import BackupFailed, DatasetsError, StoreFailed, StoreUnavailable
from datasets.models import Dataset
from datasets.storage import FolderStore, put
from datasets.storage.archives.series_copies import copy_archives

_MANIFEST = "backup.json"
_FORMAT = 1
_DATASETS, _ARCHIVES, _STATE, _KEY = "datasets", "archive", "state", "secret_key"
# Temporary files and locks are not part of a backup.
_LEFT_OUT = (".tmp", ".lock")


@dataclass(slots=True)
class Outcome:
    """The result of a backup or a restore: the number of files copied, faults and hints as sentences."""

    n_files: int = 0
    faults: list[str] = field(default_factory=list)
    # Steps that the operator still has to do.
    hints: list[str] = field(default_factory=list)


def back_up(folder: Path) -> Outcome:
    """Copy the catalog, every dataset's file and every archive into `folder`, and check each copy by its hash.

    The copies are hard links if both folders are on one disk. That is safe because a dataset's
    file is replaced, never edited. Raises `BackupFailed`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(f"{folder} is not empty; name a new folder for each backup.")
    outcome, datasets = Outcome(), _datasets_folder()
    try:
        # Else a backup while a disk is away would lack its files and count as complete.
        adoption.require_folders()
        (folder / _STATE).mkdir(parents=True, mode=0o700)
        # Catalog first: a copied file may then be newer than its row, which a restore corrects.
        # A row without its file would be a loss.
        outcome.hints += catalog_dump.dump(folder / _STATE)
        with suppress(FileNotFoundError):
            shutil.copy2(settings.STATE_DIR / _KEY, folder / _STATE / _KEY)
        hashes = _copy_datasets(datasets, folder / _DATASETS, outcome)
        _copy_archives(outputs.archive_root(), folder / _ARCHIVES, outcome, is_in_use=True)
        os.sync()
        manifest = {
            "format": _FORMAT,
            "version": settings.VERSION,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": hashes,
        }
        put(folder / _MANIFEST, json.dumps(manifest, indent=1).encode(), is_synced=True)
    except StoreUnavailable as error:
        raise BackupFailed(f"Nothing was backed up. {error}") from error
    except OSError as error:
        raise BackupFailed(
            f"The backup could not be written: {error}. It is incomplete."
        ) from error
    return outcome


def restore(folder: Path, *, force: bool) -> Outcome:
    """Copy the backup in `folder` into this service's outputs and state folders.

    With `force` existing files are moved aside first; without it they make the restore fail.
    The hash of every file is checked before anything is copied and afterwards. Raises
    `BackupFailed`.
    """
    _datasets_folder()
    manifest = _read_manifest(folder)
    store, damaged = FolderStore(folder / _DATASETS), []
    for name, content_hash in manifest["files"].items():
        try:
            if store.read(name)[1].facts.content_hash != content_hash:
                damaged.append(f"{name} contains other bars than were backed up.")
        except DatasetsError as error:
            damaged.append(str(error))
    if damaged:
        raise BackupFailed(f"The backup is damaged; nothing was restored. {' '.join(damaged[:5])}")
    outcome = Outcome()
    _make_room(force=force)
    try:
        _copy_datasets(folder / _DATASETS, _datasets_folder(), outcome)
        _copy_archives(folder / _ARCHIVES, outputs.archive_root(), outcome, is_in_use=False)
        with suppress(FileNotFoundError):
            shutil.copy2(folder / _STATE / _KEY, settings.STATE_DIR / _KEY)
        outcome.hints += catalog_dump.load(folder / _STATE)
        os.sync()
    except OSError as error:
        raise BackupFailed(f"The backup could not be restored: {error}.") from error
    call_command("migrate", interactive=False, verbosity=0)
    findings: list[Finding] = [*catalog.adopt_files(), *catalog.find_missing()]
    outcome.faults += [
        f"{found.outcome}: {found.path} {found.detail}".rstrip()
        for found in findings
        if found.outcome not in ("ok", "adopted")
    ]
    return outcome


# --- the files ---------------------------------------------------------------------------


def _datasets_folder() -> Path:
    try:
        return outputs.get_folder_store().folder
    except StoreFailed as error:
        raise BackupFailed(
            f"{error} This command copies folders only. Turn on the versions of the bucket or copy the bucket with a tool "
            "of your S3 server, and back up the catalog with pg_dump."
        ) from error


def _copy_datasets(source: Path, target: Path, outcome: Outcome) -> dict[str, str]:
    """Copy every file below `source`, and return the content hash of each whole dataset by its path."""
    store, hashes = FolderStore(target), {}
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
    for name in store.all_paths():
        try:
            hashes[name] = store.read(name)[1].facts.content_hash
        except DatasetsError as error:
            outcome.faults.append(str(error))
    return hashes


def _copy_archives(source: Path, target: Path, outcome: Outcome, *, is_in_use: bool) -> None:
    n_files, faults = copy_archives(source, target, is_in_use=is_in_use)
    outcome.n_files += n_files
    outcome.faults += faults


def _make_room(*, force: bool) -> None:
    """Move the existing datasets and catalog aside; raise `BackupFailed` without `force`."""
    database = catalog_dump.sqlite_path()
    datasets = _datasets_folder()
    taken = [datasets] if any(path.is_file() for path in datasets.glob("*/*")) else []
    if outputs.archive_root().exists():
        taken.append(outputs.archive_root())
    if database is not None and database.exists() and database.stat().st_size > 0:
        taken.append(database)
    names = [str(path) for path in taken]
    if database is None:
        has_table = Dataset._meta.db_table in connection.introspection.table_names()
        if has_table and Dataset.objects.exists():
            names.append("the database")
    if names and not force:
        raise BackupFailed(
            f"There is data in {' and '.join(names)} already; --force moves files aside and replaces the catalog."
        )
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    connection.close()
    for path in taken:
        path.rename(path.with_name(f"{path.name}.before-restore-{stamp}"))
    if database is not None:
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)


# --- the manifest ------------------------------------------------------------------------


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError as error:
        reason = "the backup was interrupted" if folder.is_dir() else "there is no such folder"
        raise BackupFailed(f"{folder} is not a complete backup: {reason}.") from error
    except (OSError, ValueError) as error:
        raise BackupFailed(f"{folder / _MANIFEST} cannot be read.") from error
    if manifest.get("format") != _FORMAT:
        raise BackupFailed(f"{folder} was made by another version of the service.")
    return manifest
