"""Builder of panels: reads the members' files in threads, in little more memory than the panel."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial, reduce
from threading import Lock as Mutex
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.bars import BAR_COLUMNS, DatasetKey
from datasets.calendars import NEVER, close_instants
from datasets.calendars.last_bars import clock_of, closed_by, is_final
from datasets.research.folders import Place, not_found
from datasets.research.listings import Listing, Numbered, list_folder
from datasets.research.lock_files import Lock
from datasets.research.panel_cache import Panel, PanelCache
from datasets.research.reader import (
    Bars,
    Identity,
    OpenFile,
    open_best,
    read_unverified,
    times_of,
    verify,
    with_facts,
)

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# A key, and the files that may answer for it.
_Candidates = tuple[DatasetKey, list[Numbered]]

# More threads are slower: between the decodings, Python runs only one of them at a time.
_N_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Series:
    """The series of a panel, as the caller spells them."""

    symbols: tuple[str, ...]
    timeframe: str
    n_bars: int | None
    session: str
    adjustment: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The part of its members that a panel holds."""

    field: str
    join: str
    index: str
    closed: bool
    n_bars: int


@dataclass(frozen=True, slots=True)
class _Member:
    """The metadata of one file that was read, and the versions of all files that could have answered."""

    document: bytes
    # With the other candidates: after a change one of them may be the better answer.
    identities: tuple[Identity, ...]


class PanelBuilder:
    """Finds a panel in the cache, or builds it from its members' files."""

    def __init__(
        self, place: Place, shape: Shape, cache: PanelCache | None, lock: Lock | None = None
    ) -> None:
        self._place = place
        self._shape = shape
        self._cache = cache
        self._lock = lock

    def find_cached(self, series: Series, keys: Callable[[], Sequence[DatasetKey]]) -> Panel | None:
        """Return the panel from the cache; None where it is not there or no longer right.

        `keys` returns the keys of the series; it is called only when datasets came or went.
        """
        if self._cache is None:
            return None
        folder = self._place.folder
        listing = list_folder(folder)
        return self._cache.find(
            self._request(series), folder, listing.digest, lambda: _members(listing, keys())
        )

    def build(
        self, keys: Sequence[DatasetKey], series: Series, *, is_exact: bool, is_verified: bool
    ) -> Panel:
        """Build the panel of these keys and store it in the cache.

        With `is_exact` only the keys' own files count; with `is_verified` each file is compared
        with its hash. Raises `DatasetNotFound` or `FileCorrupt`.
        """
        listing = list_folder(self._place.folder)
        files = [listing.files_of(key, is_exact=is_exact) for key in keys]
        missing = [key for key, some in zip(keys, files, strict=True) if not some]
        if missing:
            raise not_found(self._place, missing)
        # The largest number is first, and a file has at most as many bars as its number.
        grid = _Grid(len(keys), max(some[0][0] for some in files))
        members = self._read_all(list(zip(keys, files, strict=True)), grid, is_verified=is_verified)
        times, values = grid.merged(self._shape.join)
        contents = [hashlib.sha256(member.document).hexdigest() for member in members]
        panel = Panel(
            name=_digest([contents, astuple(self._shape)]),
            times=times,
            values=values,
            symbols=[key.full_symbol for key in keys],
            members=b"[" + b",".join(member.document for member in members) + b"]",
        )
        if self._cache is None:
            return panel
        del grid, values
        stored = self._cache.store(panel)
        # The arguments alone do not name the datasets that a lock or a service has chosen.
        if not is_exact and all(key.n_bars == (series.n_bars or 0) for key in keys):
            self._cache.record(
                self._request(series),
                stored.name,
                [identity for member in members for identity in member.identities],
                listing.digest,
                _members(listing, keys),
            )
        return stored

    def _request(self, series: Series) -> str:
        """Return the digest of a request: folder, series and shape."""
        words = [series.timeframe, series.n_bars, series.session, series.adjustment]
        return _digest([str(self._place.folder), series.symbols, words, astuple(self._shape)])

    def _read_all(
        self, candidates: Sequence[_Candidates], grid: _Grid, *, is_verified: bool
    ) -> list[_Member]:
        """Read the files of all columns into the grid, in threads."""

        def read_some(first: int) -> list[_Member]:
            return [
                self._read(candidates[row], grid, row, is_verified=is_verified)
                for row in range(first, len(candidates), _N_THREADS)
            ]

        with ThreadPoolExecutor(_N_THREADS) as pool:
            parts = list(pool.map(read_some, range(_N_THREADS)))
        return [parts[row % _N_THREADS][row // _N_THREADS] for row in range(len(candidates))]

    def _read(
        self, candidates: _Candidates, grid: _Grid, row: int, *, is_verified: bool
    ) -> _Member:
        """Read one column into a row of the grid."""
        with open_best(self._place, *candidates) as opened:
            if is_verified:
                verify(opened, read_unverified(opened, BAR_COLUMNS))
            digest, times = grid.times_of_file(opened)
            column = read_unverified(opened, [self._shape.field]).column(0)
            values: Floats = column.to_numpy()
        if self._lock is not None:
            opened = with_facts(opened, self._lock.locked_facts(opened.facts))
        grid.add_column(row, self._shape, opened.facts, digest, times, values)
        return _Member(opened.document, (opened.identity, *opened.others))


def panel_of(members: Sequence[Bars], shape: Shape) -> Panel:
    """Return the panel of these bars, all bars of one dataset each."""
    grid = _Grid(len(members), max(len(bars.times) for bars in members))
    for row, bars in enumerate(members):
        digest = hashlib.blake2b(bars.times.tobytes(), digest_size=16).digest()
        values: Floats = bars.table[shape.field].to_numpy()
        grid.add_column(row, shape, bars.facts, digest, bars.times, values)
    times, merged = grid.merged(shape.join)
    documents = [json.dumps(bars.facts).encode() for bars in members]
    contents = [hashlib.sha256(document).hexdigest() for document in documents]
    keys = [DatasetKey.from_dict(bars.facts["key"]) for bars in members]
    return Panel(
        name=_digest([contents, astuple(shape)]),
        times=times,
        values=merged,
        symbols=[key.full_symbol for key in keys],
        members=b"[" + b",".join(documents) + b"]",
    )


def _members(listing: Listing, keys: Sequence[DatasetKey]) -> str:
    """Return the digest of the files that may answer for the keys."""
    return _digest([listing.files_of(key) for key in keys])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(["panel-3", value]).encode()).hexdigest()


class _Grid:
    """Columns of a panel while they are read, in no more memory than the panel itself.

    Columns of one *kind* have the same times, which are decoded and held once.
    """

    def __init__(self, n_columns: int, n_rows: int) -> None:
        # Pages that are never written take no memory.
        self._values: Floats = np.empty((n_columns, n_rows))
        self._n_rows = 0
        self._decoded: dict[bytes, Integers] = {}
        self._kinds: dict[Hashable, tuple[Integers, list[int]]] = {}
        self._lock = Mutex()

    def times_of_file(self, opened: OpenFile) -> tuple[bytes, Integers]:
        """Return a digest of the file's times, and the times in ms.

        Times are decoded only once for all files with the same bytes.
        """
        raw = _raw_times(opened)
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        times = self._decoded.get(digest)
        if times is None:
            times = times_of(read_unverified(opened, ["time"]))
            self._decoded[digest] = times
        return digest, times

    def add_column(
        self,
        row: int,
        shape: Shape,
        facts: dict[str, Any],
        digest: bytes,
        times: Integers,
        values: Floats,
    ) -> None:
        """Add the part of a dataset's bars that the panel holds; `digest` is that of the times."""
        first = max(0, len(times) - shape.n_bars) if shape.n_bars else 0
        last = len(times) - (shape.closed and not is_final(facts))
        kind: tuple[Hashable, ...] = (digest, first, last)
        if shape.index == "close_time":
            is_known = bool(len(times)) and is_final(facts)
            closed = closed_by(facts) if is_known else NEVER
            times = close_instants(times, clock_of(facts), closed_by_ms=closed)
            kind = (*kind, clock_of(facts), int(times[-1]))
        self.add(row, kind, times[first:last], values[first:last])

    def add(self, row: int, kind: Hashable, times: Integers, values: Floats) -> None:
        """Add a column as the row `row`."""
        self._values[row, : len(values)] = values
        with self._lock:
            self._n_rows = max(self._n_rows, len(values))
            self._kinds.setdefault(kind, (times, []))[1].append(row)

    def merged(self, join: str) -> tuple[Integers, Floats]:
        """Return the joined times in ms, and the values, with shape (n_columns, n_times)."""
        kinds = list(self._kinds.values())
        join_two = partial(np.intersect1d, assume_unique=True) if join == "inner" else np.union1d
        times = reduce(join_two, (own for own, _ in kinds))
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
    """Return bytes that are equal only for files with equal times."""
    if opened.file.num_row_groups == 1:
        chunk = opened.file.metadata.row_group(0).column(0)
        if not chunk.has_dictionary_page:
            # The same bytes mean other times under another encoding.
            encoding = [chunk.compression, chunk.encodings, chunk.num_values, chunk.physical_type]
            opened.source.seek(chunk.data_page_offset)
            return repr(encoding).encode() + opened.source.read(chunk.total_compressed_size)
    return times_of(read_unverified(opened, ["time"])).tobytes()
