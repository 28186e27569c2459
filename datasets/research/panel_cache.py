"""Panels on disk: found by their content's name, mapped and never copied."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from datasets.research.lock_files import entry_of
from datasets.research.reader import Identity
from datasets.storage.atomic_write import put

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Panels beyond this are removed, the ones not used for longest first.
MAX_KEPT_BYTES = 4_000_000_000
# A panel's file: the header's length, the header (JSON, filled up with spaces), times, values, members.
_SUFFIX = ".panel"
_N_LENGTH, _ALIGNED_TO = 8, 64
# After so long nobody is writing it any more, and a request is cheap to make again.
_LEFT_OVER_S = 7 * 86_400


class Members:
    """Where each column of a panel comes from: read when it is looked at.

    pandas copies a frame's `attrs` with every operation; a thousand dicts would be felt.
    """

    def __init__(self, document: bytes) -> None:
        self._document = document

    @cached_property
    def all_facts(self) -> list[dict[str, Any]]:
        """What each file says of itself, in the order of the columns."""
        facts: list[dict[str, Any]] = json.loads(self._document)
        return facts

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What a lock file says of each."""
        return [entry_of(facts["key"], facts) for facts in self.all_facts]

    def __len__(self) -> int:
        return len(self.all_facts)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.all_facts)

    def __repr__(self) -> str:
        return "Members(…)"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing changes it


@dataclass(frozen=True, slots=True)
class Kept:
    """A panel: `values` has a row for each symbol, on the times in ms."""

    name: str
    times: Integers
    values: Floats
    symbols: list[str]
    members: bytes


class Keeper:
    """The panels below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(
        self, request: str, folder: Path, listing: str, members: Callable[[], str]
    ) -> Kept | None:
        """Return the panel that answered this request, unless a file in the folder is another now.

        `listing` stands for all names that there are, `members` for those that may answer: a
        new one might be a better answer.
        """
        path = self._record(request)
        try:
            record = json.loads(path.read_bytes())
            is_listed_anew = record["listing"] != listing
            if is_listed_anew and record["members"] != members():
                return None
            if not _are_unchanged(folder, record["files"], record["identities"]):
                return None
            kept = self.open(record["panel"])
        except (OSError, KeyError, TypeError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)
        if kept is not None and is_listed_anew:
            self._write_record(request, record | {"listing": listing})
        return kept

    def open(self, name: str) -> Kept | None:
        """Map the panel of that name; None where there is none that can be read."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                # Private pages: a frame can be changed, and the file cannot.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            panel = _unpack(name, mapped)
        # One cut short, or of another version.
        except (OSError, KeyError, TypeError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)
        return panel

    def keep(self, panel: Kept) -> Kept:
        """Write the panel and return it as it is on disk; as it is, where nothing can be written."""
        kept = self.open(panel.name)
        if kept is not None:
            return kept
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # A frame of zeros after the power failed would be worse than waiting for the disk.
            put(self._path(panel.name), *_packed(panel), is_synced=True)
            self._thin_out(panel.name)
        except OSError:
            # A full disk or a folder of somebody else: the panel itself is right.
            return panel
        return self.open(panel.name) or panel

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_SUFFIX}"

    def remember(
        self,
        request: str,
        name: str,
        identities: Sequence[Identity],
        listing: str,
        members: str,
    ) -> None:
        """Note which panel answers a request, for as long as these files stay as they are."""
        record = {
            "panel": name,
            "listing": listing,
            "members": members,
            "files": [Path(path).name for path, *_ in identities],
            "identities": [numbers for _, *numbers in identities],
        }
        self._write_record(request, record)

    def _record(self, request: str) -> Path:
        return self.folder / "requests" / f"{request}.json"

    def _write_record(self, request: str, record: Mapping[str, Any]) -> None:
        path = self._record(request)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            put(path, json.dumps(record).encode())

    def _thin_out(self, newest: str) -> None:
        """Remove the panels that were not used for longest, down to the allowed bytes.

        So goes what a process left that was killed while it wrote, and what nobody asked for in days.
        """
        panels = [(path.stat(), path) for path in self.folder.glob(f"*{_SUFFIX}")]
        panels.sort(key=lambda found: found[0].st_mtime_ns, reverse=True)
        total = 0
        for status, path in panels:
            total += status.st_size
            if total > MAX_KEPT_BYTES and path != self._path(newest):
                # Whoever has it mapped keeps it.
                path.unlink(missing_ok=True)
        long_ago = time.time() - _LEFT_OVER_S
        others = [path for path in self.folder.iterdir() if path.suffix != _SUFFIX]
        for path in [*others, *self.folder.glob("requests/*")]:
            if path.name != "requests" and path.stat().st_mtime < long_ago:
                # A folder is a panel of an earlier version.
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _packed(panel: Kept) -> Iterator[bytes | memoryview]:
    """Return a panel as the parts of its file."""
    about = {
        "symbols": panel.symbols,
        "n_rows": len(panel.times),
        "members_bytes": len(panel.members),
    }
    text = json.dumps(about)
    text += " " * (-(_N_LENGTH + len(text)) % _ALIGNED_TO)
    yield len(text).to_bytes(_N_LENGTH, "little")
    yield text.encode()
    yield panel.times.data
    # Row by row: what was made with room to spare is not one stretch of memory.
    yield from (row.data for row in panel.values)
    yield panel.members


def _unpack(name: str, mapped: mmap.mmap) -> Kept:
    """Return the panel in a mapped file; raise `ValueError`, or what JSON does, for any other."""
    start = _N_LENGTH + int.from_bytes(mapped[:_N_LENGTH], "little")
    about = json.loads(mapped[_N_LENGTH:start])
    symbols, n_rows = about["symbols"], about["n_rows"]
    values_at = start + 8 * n_rows
    members_at = values_at + 8 * n_rows * len(symbols)
    if len(mapped) != members_at + about["members_bytes"]:
        raise ValueError(f"{name} is cut short.")
    return Kept(
        name=name,
        times=np.ndarray(n_rows, np.int64, mapped, start),
        values=np.ndarray((len(symbols), n_rows), np.float64, mapped, values_at),
        symbols=symbols,
        members=mapped[members_at:],
    )


def _are_unchanged(folder: Path, names: Sequence[str], identities: Sequence[Sequence[int]]) -> bool:
    """Return whether each file is still the very one it was."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for name, identity in zip(names, identities, strict=True):
            status = os.stat(name, dir_fd=descriptor)
            if [status.st_ino, status.st_size, status.st_mtime_ns] != identity:
                return False
    finally:
        os.close(descriptor)
    return True
