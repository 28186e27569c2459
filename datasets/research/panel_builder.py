"""Make a panel out of its members' files, in threads, and in little more memory than it takes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.bars import BAR_COLUMNS, DatasetKey
from datasets.calendars.close_times import NEVER, close_instants
from datasets.research.folders import Listing, Numbered, Place, list_folder, not_found
from datasets.research.panel_cache import Keeper, Kept
from datasets.research.reader import (
    Identity,
    OpenFile,
    clock_of,
    closed_by,
    is_final,
    open_best,
    read_unverified,
    times_of,
    verify,
)

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_Wanted = tuple[DatasetKey, list[Numbered]]

# More of them only get into each other's way: Python runs one at a time between the decodings.
_N_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Series:
    """What was asked for, in the caller's own words."""

    symbols: tuple[str, ...]
    timeframe: str
    n_bars: int | None
    session: str
    adjustment: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a panel holds of its members."""

    field: str
    join: str
    index: str
    closed: bool
    n_bars: int


@dataclass(frozen=True, slots=True)
class _Member:
    """One file as it was read."""

    full_symbol: str
    facts: dict[str, Any]
    document: bytes
    # Of the file, and of those that could have answered too: any that changes may answer next time.
    identities: tuple[Identity, ...]


class Maker:
    """Finds a kept panel, or makes one."""

    def __init__(self, place: Place, shape: Shape, keeper: Keeper | None) -> None:
        self._place = place
        self._shape = shape
        self._keeper = keeper

    def kept(self, series: Series, keys: Callable[[], Sequence[DatasetKey]]) -> Kept | None:
        """Return the panel from where it is kept; None where it is not, or is another now.

        `keys` makes the keys of the series, which is only needed when datasets came or went.
        """
        if self._keeper is None:
            return None
        listing = list_folder(self._place.folder)

        def members() -> str:
            return _members(listing, keys())

        return self._keeper.find(self._request(series), self._place.folder, listing.digest, members)

    def make(
        self, keys: Sequence[DatasetKey], series: Series, *, is_exact: bool, is_verified: bool
    ) -> Kept:
        """Make the panel of these keys, and keep it; with `is_exact` of just their own files."""
        listing = list_folder(self._place.folder)
        files = [listing.files_of(key, is_exact=is_exact) for key in keys]
        missing = [key for key, some in zip(keys, files, strict=True) if not some]
        if missing:
            raise not_found(self._place, missing)
        # A file has at most as many bars as were asked for, and the largest number is first.
        grid = _Grid(len(keys), max(some[0][0] for some in files))
        members = self._read_all(list(zip(keys, files, strict=True)), grid, is_verified=is_verified)
        times, values = grid.merged(self._shape.join)
        contents = [hashlib.sha256(member.document).hexdigest() for member in members]
        panel = Kept(
            name=_digest([contents, astuple(self._shape)]),
            times=times,
            values=values,
            symbols=[member.full_symbol for member in members],
            members=b"[" + b",".join(member.document for member in members) + b"]",
        )
        if self._keeper is None:
            return panel
        del grid, values
        kept = self._keeper.keep(panel)
        # What a lock or a service chose cannot be known from the words alone.
        if not is_exact and all(key.n_bars == (series.n_bars or 0) for key in keys):
            identities = [identity for member in members for identity in member.identities]
            self._keeper.remember(
                self._request(series),
                kept.name,
                identities,
                listing.digest,
                _members(listing, keys),
            )
        return kept

    def _request(self, series: Series) -> str:
        words = [series.timeframe, series.n_bars, series.session, series.adjustment]
        return _digest([str(self._place.folder), series.symbols, words, astuple(self._shape)])

    def _read_all(
        self, wanted: Sequence[_Wanted], grid: _Grid, *, is_verified: bool
    ) -> list[_Member]:
        def read_some(first: int) -> list[_Member]:
            return [
                self._read(wanted[row], grid, row, is_verified=is_verified)
                for row in range(first, len(wanted), _N_THREADS)
            ]

        with ThreadPoolExecutor(_N_THREADS) as pool:
            parts = list(pool.map(read_some, range(_N_THREADS)))
        return [parts[row % _N_THREADS][row // _N_THREADS] for row in range(len(wanted))]

    def _read(self, wanted: _Wanted, grid: _Grid, row: int, *, is_verified: bool) -> _Member:
        with open_best(self._place, *wanted) as opened:
            if is_verified:
                verify(opened, read_unverified(opened, BAR_COLUMNS))
            digest, times = grid.times_like(opened)
            column = read_unverified(opened, [self._shape.field]).column(0)
            values: Floats = column.to_numpy()
        facts, shape = opened.facts, self._shape
        first = max(0, len(times) - shape.n_bars) if shape.n_bars else 0
        last = len(times) - (shape.closed and not is_final(facts))
        kind: tuple[Hashable, ...] = (digest, first, last)
        if shape.index == "close_time":
            is_known = bool(len(times)) and is_final(facts)
            closed = closed_by(facts) if is_known else NEVER
            times = close_instants(times, clock_of(facts), closed_by_ms=closed)
            kind = (*kind, clock_of(facts), int(times[-1]))
        grid.add(row, kind, times[first:last], values[first:last])
        return _Member(
            opened.full_symbol, facts, opened.document, (opened.identity, *opened.others)
        )


def _members(listing: Listing, keys: Sequence[DatasetKey]) -> str:
    """Return what stands for the files that may answer for the keys."""
    return _digest([listing.files_of(key) for key in keys])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(["panel-2", value]).encode()).hexdigest()


class _Grid:
    """The columns as they come, in as little memory as the result itself takes."""

    def __init__(self, n_columns: int, n_rows: int) -> None:
        # Pages that nothing is written to take no memory.
        self._values: Floats = np.empty((n_columns, n_rows))
        self._n_rows = 0
        # Most members share their times, so each kind is decoded and held once.
        self._decoded: dict[bytes, Integers] = {}
        self._kinds: dict[Hashable, tuple[Integers, list[int]]] = {}
        self._lock = Lock()

    def times_like(self, opened: OpenFile) -> tuple[bytes, Integers]:
        """Return the file's times, decoded only when no file before held the same bytes.

        With them comes what is the same for the same bytes.
        """
        raw = _raw_times(opened)
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        times = self._decoded.get(digest)
        if times is None:
            times = times_of(read_unverified(opened, ["time"]))
            self._decoded[digest] = times
        return digest, times

    def add(self, row: int, kind: Hashable, times: Integers, values: Floats) -> None:
        """Take a column in; those of one kind have the same times."""
        self._values[row, : len(values)] = values
        with self._lock:
            self._n_rows = max(self._n_rows, len(values))
            self._kinds.setdefault(kind, (times, []))[1].append(row)

    def merged(self, join: str) -> tuple[Integers, Floats]:
        """Return all times in order, and the values on them: a row for each column."""
        kinds = list(self._kinds.values())
        times = _joined((times for times, _ in kinds), join)
        if len(kinds) == 1:
            return times, self._values[:, : self._n_rows]
        merged = np.full((self._values.shape[0], len(times)), np.nan)
        for own, columns in kinds:
            place = np.searchsorted(times, own)
            is_in = place < len(times)
            is_in[is_in] = times[place[is_in]] == own[is_in]
            source, target = np.flatnonzero(is_in), place[is_in]
            for column in columns:
                merged[column, target] = self._values[column, source]
        return times, merged


def _raw_times(opened: OpenFile) -> bytes:
    """Return bytes that decode to the file's times, and to no others."""
    if opened.file.num_row_groups == 1:
        chunk = opened.file.metadata.row_group(0).column(0)
        if not chunk.has_dictionary_page:
            # How bytes are read is a part of what they say.
            how = [chunk.compression, chunk.encodings, chunk.num_values, chunk.physical_type]
            opened.source.seek(chunk.data_page_offset)
            return repr(how).encode() + opened.source.read(chunk.total_compressed_size)
    return times_of(read_unverified(opened, ["time"])).tobytes()


def _joined(all_times: Iterable[Integers], join: str) -> Integers:
    """Return the times that any has, or all have, in order."""
    joined: Integers | None = None
    for times in all_times:
        if joined is None:
            joined = times
        elif join == "inner":
            joined = np.intersect1d(joined, times, assume_unique=True)
        else:
            joined = np.union1d(joined, times)
    return np.empty(0, dtype=np.int64) if joined is None else joined
