"""Errors of a server, a disk or a bucket of this service that does not work."""

from __future__ import annotations

from datasets.errors.caller_errors import DatasetNotFound
from datasets.errors.fetch_errors import FetchError


class Unavailable(FetchError):
    """A server or a disk of this service does not work at the moment."""

    retryable = True
    retry_after_s = 5.0


class DatabaseUnavailable(Unavailable):
    """The database is unreachable or locked, or its disk is full."""

    code = "database_unavailable"


class CacheUnavailable(Unavailable):
    """The Redis server of `CACHE_URL` does not answer."""

    code = "cache_unavailable"


class StateUnavailable(Unavailable):
    """The folder `STATE_DIR` is not writable: its disk is full or read-only."""

    code = "state_unavailable"


class StoreUnavailable(Unavailable):
    """The folder with the datasets is absent: its disk is not mounted; or the bucket does not answer."""

    code = "store_unavailable"


class ObjectChanged(StoreUnavailable):
    """An object of a bucket has another version than the writer expected; nothing was written."""


class FolderUnavailable(DatasetNotFound, StoreUnavailable):
    """A study found no dataset at all: nothing was fetched yet, or the disk is not mounted."""

    code = StoreUnavailable.code
    retryable = True
