"""Versions of objects, remembered for a few seconds: a warm read sends no request."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from datasets.errors import FileMissing, StoreUnavailable
from datasets.lru_cache import LruCache
from datasets.storage.buckets.bucket_objects import Bucket, ObjectStatus


@dataclass(slots=True)
class _Checked:
    status: ObjectStatus
    at: float
    # Held by the thread that checks again; the others take the remembered status meanwhile.
    check: Lock = field(default_factory=Lock)


class VersionChecks:
    """The status of each object that was read, trusted for `window_s` seconds.

    A change by another process or by hand is noticed after at most `window_s`. While the bucket is
    away, the remembered status stays in use, so that cached reads go on; an object that this
    process has not checked before raises `StoreUnavailable`.

    Parameters
    ----------
    bucket
        The objects; names are those below its prefix.
    window_s
        The seconds between two requests for one object; the setting `STORE_CHECK_S`.
    """

    def __init__(self, bucket: Bucket, window_s: float) -> None:
        self.bucket = bucket
        self.window_s = window_s
        self._checked: LruCache[str, _Checked] = LruCache(65_536)

    def status(self, name: str, expected: str = "") -> ObjectStatus:
        """Return version and size of the object. Errors as for `Bucket.status`.

        With the version `expected`, from the row of the catalog, only that version is trusted: a
        row of a later write is a sign that the remembered version is old.
        """
        found = self._checked.find(name)
        if found is None or not _fits(found, expected):
            return self.fresh(name)
        if monotonic() - found.at < self.window_s or not found.check.acquire(blocking=False):
            return found.status
        try:
            return self.fresh(name)
        except StoreUnavailable:
            # The next look is one window later: a server that hangs holds one thread meanwhile.
            found.at = monotonic()
            return found.status
        finally:
            found.check.release()

    def has(self, name: str, expected: str) -> bool:
        """Return whether `status` has a remembered status to start from."""
        found = self._checked.find(name)
        return found is not None and _fits(found, expected)

    def fresh(self, name: str) -> ObjectStatus:
        """Return version and size as the bucket has them now, and remember them. Errors as for `Bucket.status`."""
        # The instant before the request: a change during the request counts.
        now = monotonic()
        try:
            status = self.bucket.status(name)
        except FileMissing:
            self.forget(name)
            raise
        self._checked.keep(name, _Checked(status, now))
        return status

    def remember(self, name: str, status: ObjectStatus) -> None:
        """Remember the status that a write or a read of this process brought."""
        self._checked.keep(name, _Checked(status, monotonic()))

    def forget(self, name: str) -> None:
        """Check the object again at its next use."""
        self._checked.remove(name)


def _fits(found: _Checked, expected: str) -> bool:
    return not expected or found.status.version == expected
