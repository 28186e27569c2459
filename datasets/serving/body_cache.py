"""Replies that were rendered once: their form, and the ones that this process holds in memory."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

# In the tag of a reply that comes from a fetch and not from the cache, and says so.
_FETCHED = "-fetched"
# A body of so many bytes takes time to send: not in a thread that must not wait.
LARGE_BYTES = 256 * 1024
_PACKED = '-gzip"'
# What holding a reply costs beside its bytes and its words: objects, and a place in the order.
_OVERHEAD_BYTES = 700
_HEADER_BYTES = 220


def with_mark(etag: str) -> str:
    """Return the tag of the same bars, fresh from a fetch."""
    return f'{etag[:-1]}{_FETCHED}"'


def without_mark(etag: str) -> str:
    """Return the tag that the same bars have from the cache."""
    return etag.replace(_FETCHED, "", 1)


def is_fetched(etag: str) -> bool:
    """Return whether it is the tag of bars fresh from a fetch."""
    return _FETCHED in etag


@dataclass(frozen=True, slots=True)
class Rendered:
    """One reply's body and what goes with it in the headers."""

    body: bytes
    etag: str
    is_gzip: bool
    # More headers, name and value, that belong to just this body.
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def held_bytes(self) -> int:
        """How much memory it takes to hold it."""
        said = sum(len(name) + len(value) for name, value in self.headers)
        return (
            len(self.body)
            + len(self.etag)
            + said
            + _HEADER_BYTES * len(self.headers)
            + _OVERHEAD_BYTES
        )

    def packed(self) -> Rendered:
        """Return the same reply with its body gzipped."""
        if self.is_gzip:
            return self
        # `mtime`, so that the same body always gives the same bytes: the tag promises that.
        # Level 4 takes a third of the time of 6 and gives 2 % more bytes.
        body = gzip.compress(self.body, compresslevel=4, mtime=0)
        return replace(self, body=body, etag=self.etag[:-1] + _PACKED, is_gzip=True)

    def unpacked(self) -> Rendered:
        """Return the same reply with its plain body."""
        if not self.is_gzip:
            return self
        etag = f'{self.etag.removesuffix(_PACKED)}"'
        return replace(self, body=gzip.decompress(self.body), etag=etag, is_gzip=False)


class RenderedCache:
    """The most recently used replies, at most `max_bytes` of memory with all that is held for them.

    Not Django's cache: a hit there costs a file or a socket and a copy of the whole body,
    which is more than all else that a hit does. Each process renders a body once.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._kept: OrderedDict[bytes | str, Rendered] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes | str, render: Callable[[], Rendered]) -> Rendered:
        """Return what is kept under `key`; render and keep it when there is nothing yet."""
        kept = self.find(key)
        if kept is not None:
            return kept
        # Outside the lock: two threads may render the same, and nobody waits for them.
        fresh = render()
        self.keep(key, fresh)
        return fresh

    def find(self, key: bytes | str) -> Rendered | None:
        """Return what is kept under `key`, or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.n_bytes = 0

    def keep(self, key: bytes | str, rendered: Rendered) -> None:
        """Hold the reply under `key`, in place of another one; the least recently used ones go."""
        size = rendered.held_bytes + len(key)
        if size > self.max_bytes // 4:
            return
        with self._lock:
            self._drop(key)
            self._kept[key] = rendered
            self.n_bytes += size
            while self.n_bytes > self.max_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes | str) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self.n_bytes -= dropped.held_bytes + len(key)
