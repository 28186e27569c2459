"""LRU cache of decoded tables and arrays, bounded by bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, Protocol, TypeVar


class HasBytes(Protocol):
    """A table or an array: its size in memory is known."""

    @property
    def nbytes(self) -> int: ...


Name = TypeVar("Name", bound=Hashable)
Table = TypeVar("Table", bound=HasBytes)


class TableCache(Generic[Name, Table]):
    """LRU cache of tables by name, at most `max_bytes` together. Threads may share it."""

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._tables: OrderedDict[Name, Table] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()

    def get(self, name: Name) -> Table | None:
        """Return the table of that name; None where the cache does not hold it."""
        with self._lock:
            if name in self._tables:
                self._tables.move_to_end(name)
            return self._tables.get(name)

    def add(self, name: Name, table: Table) -> None:
        """Add a table, and remove the least recently used ones beyond the limit."""
        with self._lock:
            if name in self._tables:
                return
            self._tables[name] = table
            self._n_bytes += table.nbytes
            while self._n_bytes > self.max_bytes:
                _, oldest = self._tables.popitem(last=False)
                self._n_bytes -= oldest.nbytes

    def clear(self) -> None:
        """Remove all tables."""
        with self._lock:
            self._tables.clear()
            self._n_bytes = 0
