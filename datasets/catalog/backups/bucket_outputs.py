"""The outputs in a bucket, in a backup and a restore: copied to a folder and back, or only listed and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from datasets.catalog import outputs
from datasets.catalog.backups.folder_outputs import ARCHIVES, DATASETS
from datasets.catalog.backups.manifest import Manifest, ObjectEntry, Outcome
from datasets.errors import (
    BackupFailed,
    FileCorrupt,
    FileMissing,
    StoreError,
    StoreFailed,
    StoreUnavailable,
)
from datasets.storage import SUFFIX, BucketAddress, map_file
from datasets.storage.archives.archive_paths import STAGED
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.storage.archives.series_writer import writing
from datasets.storage.buckets import Bucket, StoredObject
from datasets.storage.dataset_file import read_bars
from datasets.storage.parquet_file import parse_parquet

_N_THREADS = 8
Each = TypeVar("Each")


class BucketOutputs:
    """The files in the bucket of `OUTPUTS_URL`; the methods are those of `OutputsFiles`."""

    def __init__(self, address: BucketAddress) -> None:
        self._bucket = Bucket(address)
        self._archives = outputs.archives()

    # --- a backup ------------------------------------------------------------------------

    def copy_to(self, folder: Path, outcome: Outcome) -> None:
        """Copy all objects into `folder`."""

        def copy(name: str, stored: StoredObject) -> None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(memoryview(stored.content))

        self._each_object(copy, lambda series: SeriesFolder(folder / ARCHIVES / series), outcome)

    def list_objects(self, outcome: Outcome) -> Manifest:
        """Read all objects once, and return their versions and SHA-256."""
        files: dict[str, str] = {}
        objects: dict[str, ObjectEntry] = {}

        def note(name: str, stored: StoredObject) -> None:
            objects[name] = _entry_of(stored)
            path = name.removeprefix(f"{DATASETS}/")
            if path != name and name.endswith(SUFFIX):
                try:
                    with parse_parquet(stored.content, path) as file:
                        files[path] = read_bars(file, path)[1].content_hash
                except FileCorrupt as error:
                    outcome.faults.append(str(error))

        self._each_object(note, self._archives.folder, outcome)
        names = sorted(objects)
        return Manifest(files, str(self._bucket.address), {name: objects[name] for name in names})

    def _each_object(
        self,
        use: Callable[[str, StoredObject], None],
        folder_of: Callable[[str], SeriesFolder],
        outcome: Outcome,
    ) -> None:
        """Read every object of a dataset and of an archive, and check each archive in the folder that `folder_of` gives.

        The objects of a series are read while no other process writes them.
        """

        def read(name: str) -> bool:
            # An object that was deleted or invalidated after it was listed is not part of the backup.
            with suppress(FileMissing):
                use(name, self._bucket.get(name))
                return True
            return False

        with ThreadPoolExecutor(_N_THREADS) as pool:
            outcome.n_files += sum(pool.map(read, self._datasets()))
            for series in self._archives.names():
                try:
                    with writing(self._archives.folder(series)):
                        outcome.n_files += sum(pool.map(read, self._archive(series)))
                    read_range(folder_of(series))
                except StoreUnavailable:
                    raise
                except (StoreError, StoreFailed) as error:
                    outcome.faults.append(f"{series}: {error}")

    def _datasets(self) -> list[str]:
        found = (each.name for each in self._bucket.list(DATASETS))
        return [name for name in found if name.count("/") == 2 and _is_plain(name)]

    def _archive(self, series: str) -> list[str]:
        folder = f"{ARCHIVES}/{series}"
        found = (each.name for each in self._bucket.list(folder))
        return [
            name for name in found if not name.startswith(f"{folder}/{STAGED}/") and _is_plain(name)
        ]

    # --- a restore -----------------------------------------------------------------------

    def compare_with(self, manifest: Manifest, outcome: Outcome) -> None:
        """Compare the SHA-256 of each object with the manifest; other and missing objects are faults.

        An object that still has its version is not read. Raises `BackupFailed` where no object is there.
        """
        present = {
            each.name: each.version
            for folder in (DATASETS, ARCHIVES)
            for each in self._bucket.list(folder)
        }

        def fault_of(name: str) -> str:
            entry = manifest.objects[name]
            try:
                if present.get(name) == entry.version:
                    return ""
                if _entry_of(self._bucket.get(name)).sha256 == entry.sha256:
                    return ""
            except FileMissing:
                return f"{name} is not in the bucket any more (version {entry.version})."
            return f"{name} has other bytes than at the backup (then version {entry.version})."

        if manifest.objects and not present.keys() & manifest.objects.keys():
            raise BackupFailed(
                f"None of the {len(manifest.objects):,} objects of this backup is in {self._bucket.address}: OUTPUTS_URL "
                "may name another bucket. Nothing was restored. Correct OUTPUTS_URL, or restore the objects in the "
                "bucket by the tools of the S3 server first."
            )
        with ThreadPoolExecutor(_N_THREADS) as pool:
            faults = [fault for fault in pool.map(fault_of, manifest.objects) if fault]
        outcome.faults += faults
        if faults:
            outcome.hints.append(
                f"{len(faults):,} objects are not those of the backup. To get the older ones, restore the versions above "
                "by the tools of the S3 server. Run `manage.py datasets rebuild`, so that the catalog describes the objects."
            )

    def taken(self) -> list[str]:
        """Return the places in the bucket that already have datasets or archives."""
        return [
            f"{self._bucket.address}/{folder}"
            for folder in (DATASETS, ARCHIVES)
            if any(each.name.endswith(SUFFIX) for each in self._bucket.list(folder))
        ]

    def move_aside(self, stamp: str) -> None:
        """Move each object within the bucket, by a copy and a deletion."""

        def move(name: str) -> None:
            folder, _, rest = name.partition("/")
            self._bucket.copy(name, f"{folder}.before-restore-{stamp}/{rest}")
            self._bucket.delete(name)

        for folder in (DATASETS, ARCHIVES):
            _in_parallel(move, [each.name for each in self._bucket.list(folder)])

    def copy_from(self, folder: Path, outcome: Outcome) -> None:
        """Put all files of a backup into the bucket; the `series.json` of an archive comes last."""

        def put(path: Path) -> None:
            content = map_file(path)[1].read_buffer()
            self._bucket.put(path.relative_to(folder).as_posix(), content)

        archived = [path for path in (folder / ARCHIVES).rglob("*") if path.is_file()]
        documents = [path for path in archived if path.name == DOCUMENT_NAME]
        files = [path for path in archived if path.name not in (DOCUMENT_NAME, ".lock")]
        for paths in ((folder / DATASETS).glob("*/*"), files, documents):
            outcome.n_files += _in_parallel(put, paths)
        for series in self._archives.names():
            try:
                read_range(self._archives.folder(series))
            except StoreUnavailable:
                raise
            except (StoreError, StoreFailed) as error:
                outcome.faults.append(f"{series}: {error}")


def _in_parallel(change: Callable[[Each], None], items: Iterable[Each]) -> int:
    """Call `change` for each item; return their number."""
    with ThreadPoolExecutor(_N_THREADS) as pool:
        return len(list(pool.map(change, items)))


def _entry_of(stored: StoredObject) -> ObjectEntry:
    digest = hashlib.sha256(memoryview(stored.content)).hexdigest()
    return ObjectEntry(stored.version, digest, stored.content.size)


def _is_plain(name: str) -> bool:
    """Return whether the name is that of a file below a folder; others could lead out of the backup."""
    return not {"", ".", ".."} & set(name.split("/"))
