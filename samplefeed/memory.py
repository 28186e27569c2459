"""LRU cache of values, bounded by bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedMemory(Generic[Value]):
    """LRU cache whose values together take at most `max_bytes`."""

    def __init__(self, max_bytes: int, size_of: Callable[[Value], int]) -> None:
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._n_bytes = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `key`; call `make` for a missing value."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        self._n_bytes += self._size_of(value)
        while self._n_bytes > self._max_bytes and len(self._values) > 1:
            _, oldest = self._values.popitem(last=False)
            self._n_bytes -= self._size_of(oldest)
        return value
