"""All archives below one prefix of a bucket."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from datasets.storage.archives.archive_paths import STAGED
from datasets.storage.archives.bucket_files import (
    ArchiveObjects,
    BucketFiles,
    SeriesLock,
    read_only,
)
from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.storage.buckets import Bucket, BucketAddress, LocalCopies, VersionChecks
from datasets.storage.presence import MARKER, MARKER_TEXT


class BucketArchives:
    """The archives below `archive/` of a place in a bucket; the methods are those of `Archives`.

    Parameters
    ----------
    address
        The place of the outputs.
    copies
        The local copies of this machine.
    check_s
        Seconds for which a version that was seen is trusted; the setting `STORE_CHECK_S`.
    lock
        The lock of a series; without it the archives can only be read.
    """

    def __init__(
        self,
        address: BucketAddress,
        copies: LocalCopies,
        check_s: float,
        lock: SeriesLock = read_only,
    ) -> None:
        bucket = Bucket(address).below("archive")
        self._objects = ArchiveObjects(bucket, copies, VersionChecks(bucket, check_s), lock)

    def folder(self, name: str) -> SeriesFolder:
        """Return the folder of a series."""
        return SeriesFolder(Path(name), BucketFiles(self._objects, name))

    def names(self) -> list[str]:
        """Return the names of all series with a `series.json`, sorted; one request for 1,000 objects."""
        return sorted(
            "/".join(parts[:2]) for parts in self._parts() if parts[2:] == [DOCUMENT_NAME]
        )

    def suspects(self) -> list[str]:
        """Return the names of the series that a killed writer can have left unfinished, sorted.

        A writer leaves files in `_next/` until the rows are written, so the others are settled.
        """
        return sorted({"/".join(parts[:2]) for parts in self._parts() if STAGED in parts[2:3]})

    def _parts(self) -> list[list[str]]:
        return [each.name.split("/") for each in self._objects.bucket.list()]

    def is_present(self, source: str) -> bool:
        """Return whether the source's folder has its marker, or an archive in it."""
        if self._objects.bucket.exists(f"{source}/{MARKER}"):
            return True
        return any(islice(self._objects.bucket.list(source), 1))

    def is_away(self, source: str) -> bool:
        """Return False: a bucket that is away says so itself, by `StoreUnavailable`."""
        return False

    def accept(self, source: str) -> None:
        """Write the marker of the source's folder."""
        self._objects.bucket.put(f"{source}/{MARKER}", MARKER_TEXT.encode())

    def where(self, source: str) -> str:
        """Return the address of the source's folder."""
        return f"{self._objects.bucket.address}/{source}"
