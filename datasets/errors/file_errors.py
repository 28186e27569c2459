"""Errors of the files: unreadable, deleted, or not those of a lock file or a backup."""

from __future__ import annotations

from datasets.errors.root_error import DatasetsError


class BackupFailed(DatasetsError):
    """A backup was not made, or is incomplete and was not restored."""

    code = "backup_failed"


class StoreError(DatasetsError):
    """A dataset's file is unreadable; `serving` answers with a new fetch."""

    code = "store_unreadable"
    # The next fetch repairs the file. A pinned dataset gets no fetch; its error sets this to False.
    retryable = True


class FileMissing(StoreError):
    """The dataset's file was deleted or invalidated; a new fetch repairs it."""

    code = "file_missing"


class FileCorrupt(StoreError):
    """The dataset's file is damaged; a new fetch repairs it."""

    code = "file_corrupt"


class LockMismatch(StoreError):
    """A dataset differs from the one in the lock file; the message names the difference."""
