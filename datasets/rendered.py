"""Bytes that were rendered once, kept in this process up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

# In the tag of a reply that comes from a fetch and not from the cache, and says so.
_FETCHED = "-fetched"


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


class RenderedCache:
    """The most recently used bodies, at most `max_bytes` of them.

    Not Django's cache: a hit there costs a file or a socket and a copy of the whole body,
    which is more than all else that a hit does. Each process renders a body once.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._kept: OrderedDict[Hashable, Rendered] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, render: Callable[[], Rendered]) -> Rendered:
        """Return what is kept under `key`; render and keep it when there is nothing yet."""
        kept = self.find(key)
        if kept is not None:
            return kept
        # Outside the lock: two threads may render the same, and nobody waits for them.
        fresh = render()
        self._keep(key, fresh)
        return fresh

    def find(self, key: Hashable) -> Rendered | None:
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

    def _keep(self, key: Hashable, rendered: Rendered) -> None:
        if len(rendered.body) > self.max_bytes // 4:
            return
        with self._lock:
            replaced = self._kept.pop(key, None)
            self.n_bytes += len(rendered.body) - (len(replaced.body) if replaced else 0)
            self._kept[key] = rendered
            while self.n_bytes > self.max_bytes:
                self.n_bytes -= len(self._kept.popitem(last=False)[1].body)
