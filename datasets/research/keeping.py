"""Panels on disk: found by their content's name, mapped and never copied."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from datasets.research.locks import entry_of
from datasets.research.reading import Identity

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Panels beyond this are removed, the ones not used for longest first.
MAX_KEPT_BYTES = 4_000_000_000
_TIMES, _VALUES, _MEMBERS, _ABOUT = "times.npy", "values.npy", "members.json", "about.json"
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
        try:
            record = json.loads(self._record(request).read_bytes())
            is_listed_anew = record["listing"] != listing
            if is_listed_anew and record["members"] != members():
                return None
            if not _are_unchanged(folder, record["files"], record["identities"]):
                return None
            kept = self.open(record["panel"])
        except (OSError, KeyError, TypeError, ValueError):
            return None
        with suppress(OSError):
            os.utime(self._record(request))
        if kept is not None and is_listed_anew:
            self._write_record(request, record | {"listing": listing})
        return kept

    def open(self, name: str) -> Kept | None:
        """Map the panel of that name; None where there is none that can be read."""
        folder = self.folder / name
        try:
            about = json.loads((folder / _ABOUT).read_bytes())
            symbols, n_bytes = about["symbols"], about["members_bytes"]
            times = np.load(folder / _TIMES)
            # Private pages: a frame can be changed, and the file cannot.
            values = np.load(folder / _VALUES, mmap_mode="c")
            members = (folder / _MEMBERS).read_bytes()
        # A machine that went down may leave files that are cut short.
        except (OSError, EOFError, KeyError, TypeError, ValueError):
            return None
        if values.shape != (len(symbols), len(times)) or len(members) != n_bytes:
            return None
        with suppress(OSError):
            os.utime(folder)
        return Kept(name, times, np.asarray(values), symbols, members)

    def keep(self, panel: Kept) -> Kept:
        """Write the panel and return it as it is on disk; as it is, where nothing can be written."""
        kept = self.open(panel.name)
        if kept is not None:
            return kept
        temporary = self.folder / f".{uuid4().hex}.tmp"
        try:
            temporary.mkdir(parents=True)
            np.save(temporary / _TIMES, panel.times)
            np.save(temporary / _VALUES, panel.values)
            (temporary / _MEMBERS).write_bytes(panel.members)
            about = {"symbols": panel.symbols, "members_bytes": len(panel.members)}
            (temporary / _ABOUT).write_text(json.dumps(about))
            self._put(temporary, panel.name)
            self._thin_out(panel.name)
        except OSError:
            # A full disk or a folder of somebody else: the panel itself is right.
            return panel
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return self.open(panel.name) or panel

    def _put(self, temporary: Path, name: str) -> None:
        """Put a whole panel in its place, unless another process made the same meanwhile."""
        target = self.folder / name
        try:
            temporary.rename(target)
        except OSError:
            if self.open(name) is not None:
                return
            # What is there cannot be read.
            spoilt = target.with_name(f".{uuid4().hex}.tmp")
            try:
                target.rename(spoilt)
                temporary.rename(target)
            finally:
                shutil.rmtree(spoilt, ignore_errors=True)

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
            temporary = path.with_name(f".{uuid4().hex}.tmp")
            temporary.write_text(json.dumps(record))
            temporary.replace(path)

    def _thin_out(self, newest: str) -> None:
        """Remove the panels that were not used for longest, down to the allowed bytes.

        So goes what a process left that was killed while it wrote, and requests of long ago.
        """
        long_ago = time.time() - _LEFT_OVER_S
        for path in [*self.folder.glob(".*.tmp"), *self.folder.glob("requests/*")]:
            if path.stat().st_mtime < long_ago:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        panels = [path for path in self.folder.iterdir() if (path / _VALUES).exists()]
        panels.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        total = 0
        for path in panels:
            total += (path / _VALUES).stat().st_size
            if total > MAX_KEPT_BYTES and path.name != newest:
                # Whoever has it mapped keeps it.
                shutil.rmtree(path, ignore_errors=True)


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
