"""A backup of a running service into a folder, and its restore."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from datasets import catalog
from datasets.catalog import Finding, adoption
from datasets.catalog.backups import catalog_dump
from datasets.catalog.backups.folder_outputs import DATASETS, FolderOutputs, OutputsFiles
from datasets.catalog.backups.manifest import Manifest, Outcome
from datasets.errors import BackupFailed, DatasetsError, StoreFailed, StoreUnavailable
from datasets.models import Dataset
from datasets.storage import FolderStore

_STATE, _KEY = "state", "secret_key"


def back_up(folder: Path, *, with_files: bool = True) -> Outcome:
    """Copy the catalog, every dataset's file and every archive into `folder`, and check each copy by its hash.

    Without `with_files` the objects of a bucket are read and checked, and only their versions and
    SHA-256 are written. Raises `BackupFailed`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(f"{folder} is not empty; name a new folder for each backup.")
    outcome, files = Outcome(), _outputs_files()
    try:
        # Else a backup while a disk is away would lack its files and count as complete.
        adoption.require_folders()
        (folder / _STATE).mkdir(parents=True, mode=0o700)
        # Catalog first: a copied file may then be newer than its row, which a restore corrects.
        # A row without its file would be a loss.
        outcome.hints += catalog_dump.dump(folder / _STATE)
        with suppress(FileNotFoundError):
            shutil.copy2(settings.STATE_DIR / _KEY, folder / _STATE / _KEY)
        if with_files:
            files.copy_to(folder, outcome)
            manifest = Manifest(_content_hashes(folder / DATASETS, outcome))
        else:
            manifest = files.list_objects(outcome)
        os.sync()
        manifest.write(folder)
    except StoreUnavailable as error:
        raise BackupFailed(
            f"There is no complete backup in {folder}, and it is not restored. {error}"
        ) from error
    except (OSError, StoreFailed) as error:
        raise BackupFailed(
            f"The backup could not be written: {error}. It is incomplete."
        ) from error
    return outcome


def restore(folder: Path, *, force: bool) -> Outcome:
    """Copy the backup in `folder` into this service's outputs and state folders, or into its bucket.

    With `force` existing files are moved aside first; without it they make the restore fail.
    The hash of every file is checked before anything is copied and afterwards. A backup without
    files is compared with the bucket. Raises `BackupFailed`.
    """
    manifest, outcome = Manifest.read(folder), Outcome()
    try:
        files = _outputs_files()
        if manifest.bucket:
            files.compare_with(manifest, outcome)
            _make_room([], files, force=force)
        else:
            _require_whole(folder / DATASETS, manifest)
            _make_room(files.taken(), files, force=force)
            files.copy_from(folder, outcome)
        with suppress(FileNotFoundError):
            shutil.copy2(folder / _STATE / _KEY, settings.STATE_DIR / _KEY)
        outcome.hints += catalog_dump.load(folder / _STATE)
        os.sync()
        call_command("migrate", interactive=False, verbosity=0)
        findings: list[Finding] = [*catalog.adopt_files(), *catalog.find_missing()]
    except (OSError, StoreFailed, StoreUnavailable) as error:
        raise BackupFailed(f"The backup could not be restored: {error}") from error
    outcome.faults += [
        f"{found.outcome}: {found.path} {found.detail}".rstrip()
        for found in findings
        if found.outcome not in ("ok", "adopted")
    ]
    return outcome


def _outputs_files() -> OutputsFiles:
    if settings.OUTPUTS_BUCKET is None:
        return FolderOutputs()
    # Imported here: the client takes 70 ms and 13 MB, which a service with a folder does not need.
    from datasets.catalog.backups.bucket_outputs import BucketOutputs

    return BucketOutputs(settings.OUTPUTS_BUCKET)


def _content_hashes(folder: Path, outcome: Outcome) -> dict[str, str]:
    """Read each copied dataset to its end; return its content hash by its path."""
    store, hashes = FolderStore(folder), {}
    for name in store.all_paths():
        try:
            hashes[name] = store.read(name)[1].facts.content_hash
        except DatasetsError as error:
            outcome.faults.append(str(error))
    return hashes


def _require_whole(folder: Path, manifest: Manifest) -> None:
    """Raise `BackupFailed` unless each file of the backup has the bars that were backed up."""
    store, damaged = FolderStore(folder), []
    for name, content_hash in manifest.files.items():
        try:
            if store.read(name)[1].facts.content_hash != content_hash:
                damaged.append(f"{name} contains other bars than were backed up.")
        except DatasetsError as error:
            damaged.append(str(error))
    if damaged:
        raise BackupFailed(f"The backup is damaged; nothing was restored. {' '.join(damaged[:5])}")


def _make_room(taken: list[str], files: OutputsFiles, *, force: bool) -> None:
    """Move the existing files, in the places `taken`, and the catalog aside; raise `BackupFailed` without `force`."""
    database = catalog_dump.sqlite_path()
    has_file = database is not None and database.exists() and database.stat().st_size > 0
    names = [*taken, *([str(database)] if has_file else [])]
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
    if taken:
        files.move_aside(stamp)
    if database is not None:
        if has_file:
            database.rename(database.with_name(f"{database.name}.before-restore-{stamp}"))
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
