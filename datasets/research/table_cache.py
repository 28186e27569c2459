"""The tables that were read last, kept in memory up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

import pyarrow as pa

Name = TypeVar("Name", bound=Hashable)


class Recent(Generic[Name]):
    """Tables by name; the one not used for longest goes first."""

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._tables: OrderedDict[Name, pa.Table] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()

    def get(self, name: Name) -> pa.Table | None:
        """Return the table of that name, None where it is not kept."""
        with self._lock:
            if name in self._tables:
                self._tables.move_to_end(name)
            return self._tables.get(name)

    def add(self, name: Name, table: pa.Table) -> None:
        """Keep a table, and let go of what is too much."""
        with self._lock:
            if name in self._tables:
                return
            self._tables[name] = table
            self._n_bytes += table.nbytes
            while self._n_bytes > self.max_bytes:
                _, oldest = self._tables.popitem(last=False)
                self._n_bytes -= oldest.nbytes

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._tables.clear()
            self._n_bytes = 0
