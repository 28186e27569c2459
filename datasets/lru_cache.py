"""LRU cache, bounded by the weight of its values; threads may share it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """Values by key. Beyond `max_weight` the least recently used values are removed.

    Parameters
    ----------
    max_weight
        Most weight of all entries together: their number, or bytes.
    weight_of
        Returns the weight of an entry, from its key and its value; by default 1.
    """

    def __init__(
        self, max_weight: int, weight_of: Callable[[Any, Any], int] = lambda key, value: 1
    ) -> None:
        self.max_weight = max_weight
        self.weight = 0
        self._weight_of = weight_of
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Key) -> Value | None:
        """Return the value under `key`, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Key, value: Value) -> None:
        """Put the value under `key`, unless it takes more than a quarter of a cache of bytes."""
        weight = self._weight_of(key, value)
        if weight > max(1, self.max_weight // 4):
            return
        with self._lock:
            self._drop(key)
            self._kept[key] = value
            self.weight += weight
            while self.weight > self.max_weight:
                self._drop(next(iter(self._kept)))

    def remove(self, key: Key) -> None:
        """Remove the value under `key`, if there is one."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Remove all values."""
        with self._lock:
            self._kept.clear()
            self.weight = 0

    def _drop(self, key: Key) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self.weight -= self._weight_of(key, dropped)
