"""The store and the archives of the configured outputs folder."""

from __future__ import annotations

from functools import cache as remember
from pathlib import Path

from django.conf import settings

from datasets.catalog.series_locks import locked_series
from datasets.errors import StoreFailed, StoreUnavailable
from datasets.models import Dataset, Series
from datasets.storage import BucketAddress, FolderStore, Store
from datasets.storage.archives.archive_places import Archives, FolderArchives

# One store for each place.
_folder_store = remember(FolderStore)
_MB = 2**20


def get_store() -> Store:
    """Return the store in the configured bucket, or under the configured outputs folder."""
    if settings.OUTPUTS_BUCKET is None:
        return _folder_store(settings.OUTPUTS_DIR / "datasets")
    return _bucket_places(settings.OUTPUTS_BUCKET)[0]


def get_folder_store() -> FolderStore:
    """Return the store under the configured outputs folder; raise `StoreFailed` where the outputs are in a bucket."""
    store = get_store()
    if not isinstance(store, FolderStore):
        raise StoreFailed(f"The files are in {settings.OUTPUTS_BUCKET}, and in no folder.")
    return store


def _bucket_places(address: BucketAddress) -> tuple[Store, Archives]:
    """Return the store and the archives at an address, with the limits of the settings."""
    max_bytes = settings.STORE_CACHE_MB * _MB
    return _in_bucket(address, settings.STATE_DIR, max_bytes, settings.STORE_CHECK_S)


@remember
def _in_bucket(
    address: BucketAddress, state_folder: Path, max_bytes: int, check_s: float
) -> tuple[Store, Archives]:
    # Imported here: the client takes 70 ms and 13 MB, which a service with a folder does not need.
    from datasets.storage.archives.bucket_archives import BucketArchives
    from datasets.storage.bucket_store import BucketStore
    from datasets.storage.buckets import LocalCopies

    copies = LocalCopies(state_folder / "objects", max_bytes)
    archives = BucketArchives(address, copies, check_s, locked_series)
    return BucketStore(address, copies, check_s), archives


def archive_root() -> Path:
    """Return the folder with all archives."""
    root: Path = settings.OUTPUTS_DIR / "archive"
    return root


def archives() -> Archives:
    """Return the archives in the configured bucket, or under the configured outputs folder."""
    if settings.OUTPUTS_BUCKET is None:
        return FolderArchives(archive_root())
    return _bucket_places(settings.OUTPUTS_BUCKET)[1]


def require_folder(source: str) -> None:
    """Raise `StoreUnavailable` if a folder of the source is not there and the catalog has rows of its files.

    Without this check a fetch would create an empty folder, and all other datasets of the source
    would count as missing, or a second archive would begin beside the real one.
    """
    require_archives(source)
    store = get_store()
    if store.is_present(source):
        return
    if Dataset.objects.filter(source=source, state=Dataset.State.READY).exists():
        raise store.unavailable(source)


def accept_folders(source: str) -> None:
    """Accept the folders of the source as they are, also empty ones, and make missing ones. Raises `StoreFailed`."""
    get_store().accept(source)
    archives().accept(source)


def require_archives(source: str) -> None:
    """Raise `StoreUnavailable` if the folder of the source's archives is not there and the catalog has series of it."""
    if not archives().is_present(source) and Series.objects.filter(source=source).exists():
        raise StoreUnavailable(
            f"The folder archive/{source} is absent or empty, but the catalog has series in it: its disk may not be "
            "mounted, or OUTPUTS_URL names another bucket. Nothing was changed, and no archive was begun. Mount the disk and try again. If the files were deleted on purpose, "
            "run `manage.py datasets rebuild --accept-empty`."
        )
