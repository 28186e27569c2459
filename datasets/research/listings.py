"""Listings of a folder: the datasets in it by name, read again only after the folder has changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from datasets.bars import DatasetKey
from datasets.storage import SUFFIX, SUPERSEDED_SUFFIX, file_names

_NAME = re.compile(r"(.+)_([0-9]+)((?:_extended)?(?:_dividends|_none)?)" + re.escape(SUFFIX))
# A listing this soon after the folder's last change may miss a change in the same clock tick.
_SETTLED_NS = 100_000_000

# A file's number of bars, and its name.
Numbered = tuple[int, str]
# (text before the number of bars, text after it) -> the files with these names.
Files = dict[tuple[str, str], list[Numbered]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The names of the datasets in one folder at one moment."""

    files: Files
    # Files that a newer fetch contradicts: only a lock file still reads them.
    superseded: frozenset[str]
    # Changes whenever a dataset comes, goes or is superseded.
    digest: str

    @classmethod
    def of_names(cls, names: Iterable[str], superseded: frozenset[str]) -> Self:
        """Return the listing of a folder with these names."""
        files: Files = {}
        matches = [match for name in sorted(names) if (match := _NAME.fullmatch(name))]
        for match in matches:
            files.setdefault((match[1], match[3]), []).append((int(match[2]), match[0]))
        there = "\n".join([*(match[0] for match in matches), "", *sorted(superseded)])
        digest = hashlib.blake2b(there.encode(), digest_size=16)
        return cls(files, superseded, digest.hexdigest())

    def files_of(self, key: DatasetKey, *, is_exact: bool = False) -> list[Numbered]:
        """Return the files that may answer for the key, the largest number of bars first.

        These are the files of the key's series with at least `n_bars` bars (0: with any number);
        with `is_exact` only the key's own file.
        """
        matches = [match for name in file_names(key) if (match := _NAME.fullmatch(name))]
        files = [file for match in matches for file in self.files.get((match[1], match[3]), [])]
        if is_exact:
            return [file for file in files if file[0] == key.n_bars]
        return sorted(
            (n_bars, name)
            for n_bars, name in files
            if n_bars >= key.n_bars and name not in self.superseded
        )[::-1]


_listings: dict[Path, tuple[int, Listing]] = {}


def list_folder(folder: Path) -> Listing:
    """Return the listing of a folder, read again only after the folder has changed."""
    try:
        # Not the time of its content, which a program can set back.
        changed_ns = folder.stat().st_ctime_ns
    except FileNotFoundError:
        return Listing({}, frozenset(), digest="")
    kept = _listings.get(folder)
    if kept is not None and kept[0] == changed_ns:
        return kept[1]
    taken_ns = time.time_ns()
    names = [entry.name for entry in os.scandir(folder)]
    listing = Listing.of_names(names, superseded_files(folder, names))
    if taken_ns - changed_ns > _SETTLED_NS:
        _listings[folder] = (changed_ns, listing)
    return listing


def superseded_files(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Return the names of the superseded datasets, among all names in the folder."""
    found = set()
    for mark in names:
        if not mark.endswith(SUPERSEDED_SUFFIX):
            continue
        try:
            document = json.loads((folder / mark).read_bytes())
            status = (folder / document["name"]).stat()
        except (OSError, KeyError, TypeError, ValueError):
            continue
        # The mark does not count for a file that was replaced later.
        if document["version"] == [status.st_size, status.st_mtime_ns]:
            found.add(str(document["name"]))
    return frozenset(found)
