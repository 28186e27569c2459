"""Cache of panels on disk: named by their content, mapped into memory and never copied."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson

from datasets.research.lock_files import entry_of
from datasets.research.reader import Identity
from datasets.storage import put, to_status

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Limit of the cache; the least recently used panels are removed first.
MAX_KEPT_BYTES = 4_000_000_000
# A panel's file: the header's length, the header (JSON, padded with spaces), times, values, members.
_SUFFIX = ".panel"
_N_LENGTH, _ALIGNED_TO = 8, 64
# Age at which unfinished files and recorded requests are removed.
_LEFT_OVER_S = 7 * 86_400


class Members(tuple[dict[str, Any], ...]):
    """Metadata of the file of each column of a panel, in the order of the columns.

    A tuple, because pandas writes a frame's `attrs` as JSON into a parquet file. pandas also
    copies `attrs` with every operation: copies of a thousand dicts would slow each one.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Return the members of a panel's JSON."""
        return cls(orjson.loads(document))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The lock file entry of each column."""
        return [entry_of(facts) for facts in self]

    def __repr__(self) -> str:
        return "Members(…)"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # immutable


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: `times` in ms, `values` with shape (n_symbols, n_times), metadata as JSON bytes."""

    name: str
    times: Integers
    values: Floats
    symbols: list[str]
    members: bytes

    def between(self, start_ms: int | None, end_ms: int | None) -> tuple[Integers, Floats]:
        """Return the times from `start_ms` (inclusive) to `end_ms` (exclusive), and their values."""
        first = 0 if start_ms is None else int(np.searchsorted(self.times, start_ms))
        last = len(self.times) if end_ms is None else int(np.searchsorted(self.times, end_ms))
        last = max(first, last)
        return self.times[first:last], self.values[:, first:last]

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yield the parts of the panel's file, in order."""
        header = {
            "symbols": self.symbols,
            "n_rows": len(self.times),
            "members_bytes": len(self.members),
        }
        text = json.dumps(header)
        text += " " * (-(_N_LENGTH + len(text)) % _ALIGNED_TO)
        yield len(text).to_bytes(_N_LENGTH, "little")
        yield text.encode()
        yield self.times.data
        # Row by row: the array may be wider than the panel, so it is not contiguous.
        yield from (row.data for row in self.values)
        yield self.members

    @classmethod
    def from_map(cls, name: str, mapped: mmap.mmap) -> Self:
        """Return the panel in a mapped file; raise `ValueError`, `KeyError` or `TypeError` for none."""
        start = _N_LENGTH + int.from_bytes(mapped[:_N_LENGTH], "little")
        header = json.loads(mapped[_N_LENGTH:start])
        symbols, n_rows = header["symbols"], header["n_rows"]
        values_at = start + 8 * n_rows
        members_at = values_at + 8 * n_rows * len(symbols)
        if len(mapped) != members_at + header["members_bytes"]:
            raise ValueError(f"{name} is cut short.")
        return cls(
            name=name,
            times=np.ndarray(n_rows, np.int64, mapped, start),
            values=np.ndarray((len(symbols), n_rows), np.float64, mapped, values_at),
            symbols=symbols,
            members=mapped[members_at:],
        )


class PanelCache:
    """The panels in one folder, and the requests that they answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(
        self, request: str, folder: Path, listing: str, members: Callable[[], str]
    ) -> Panel | None:
        """Return the panel that answered a request before; None where a file has changed since.

        `folder` is the folder of the datasets, `listing` the digest of all names in it.
        `members` returns the digest of the files that may answer: a new one may be a better
        answer. It is called only when `listing` has changed.
        """
        path = self._record_path(request)
        try:
            record = json.loads(path.read_bytes())
            is_new_listing = record["listing"] != listing
            if is_new_listing and record["members"] != members():
                return None
            if not _are_unchanged(folder, record["files"], record["identities"]):
                return None
            panel = self.open(record["panel"])
        except (OSError, KeyError, TypeError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)
        if panel is not None and is_new_listing:
            self._write_record(request, record | {"listing": listing})
        return panel

    def open(self, name: str) -> Panel | None:
        """Map the panel of that name; None where no readable file exists."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                # Private pages: changes of a frame never reach the file.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            panel = Panel.from_map(name, mapped)
        # The file is cut short, or of another version.
        except (OSError, KeyError, TypeError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)
        return panel

    def store(self, panel: Panel) -> Panel:
        """Write a panel and return it mapped; return it unchanged where the disk cannot be written."""
        stored = self.open(panel.name)
        if stored is not None:
            return stored
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Without a sync, a power cut could leave a valid file full of zeros.
            put(self._path(panel.name), *panel.parts(), is_synced=True)
            self.prune(panel.name)
        except OSError:
            # A full disk or a folder without permission: the panel itself is right.
            return panel
        return self.open(panel.name) or panel

    def record(
        self,
        request: str,
        name: str,
        identities: Sequence[Identity],
        listing: str,
        members: str,
    ) -> None:
        """Record that a panel answers a request until one of these files changes."""
        record = {
            "panel": name,
            "listing": listing,
            "members": members,
            "files": [Path(path).name for path, _ in identities],
            "identities": [status for _, status in identities],
        }
        self._write_record(request, record)

    def prune(self, newest: str) -> None:
        """Remove the least recently used panels beyond the limit, never the newest one.

        Also removes unfinished files of killed processes, and requests unused for a week.
        """
        panels = [(path.stat(), path) for path in self.folder.glob(f"*{_SUFFIX}")]
        panels.sort(key=lambda found: found[0].st_mtime_ns, reverse=True)
        total = 0
        for status, path in panels:
            total += status.st_size
            if total > MAX_KEPT_BYTES and path != self._path(newest):
                # A process that has the file mapped keeps its pages.
                path.unlink(missing_ok=True)
        long_ago = time.time() - _LEFT_OVER_S
        others = [path for path in self.folder.iterdir() if path.suffix != _SUFFIX]
        for path in [*others, *self.folder.glob("requests/*")]:
            if path.name != "requests" and path.stat().st_mtime < long_ago:
                # A folder is a panel of an earlier version.
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"

    def _record_path(self, request: str) -> Path:
        return self.folder / "requests" / f"{request}.json"

    def _write_record(self, request: str, record: Mapping[str, Any]) -> None:
        path = self._record_path(request)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            put(path, json.dumps(record).encode())


def _are_unchanged(folder: Path, names: Sequence[str], identities: Sequence[Sequence[int]]) -> bool:
    """Return whether each file is still the same version."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for name, identity in zip(names, identities, strict=True):
            status = os.stat(name, dir_fd=descriptor)
            if [*to_status(status)] != identity:
                return False
    finally:
        os.close(descriptor)
    return True
