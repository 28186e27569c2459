"""Read one dataset's file: what it says of itself, and the part of its bars that is wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from datasets import bars
from datasets.bars import BAR_COLUMNS, DatasetKey, selection
from datasets.bars.coverage import Coverage, coverage_of
from datasets.calendars.close_times import NEVER, Clock, close_instants
from datasets.errors import DatasetNotFound, FileCorrupt
from datasets.research.folders import Numbered, Place, list_folder, not_found
from datasets.research.table_cache import Recent
from datasets.storage.memory_map import map_file, require_rows
from datasets.storage.metadata import METADATA_FORMAT, METADATA_KEY
from datasets.storage.paths import relative_path

Integers = npt.NDArray[np.int64]
# What tells a file from the one that replaces it: path, inode, bytes, time of change in ns.
Identity = tuple[str, int, int, int]

# A machine's clock may be slow; what it says of an instant is trusted only so far.
CLOCK_ERROR_MS = 3_600_000
# Files whose bars were compared with their hash in this process.
_verified: set[Identity] = set()
# A sweep loads the same few datasets again and again: the latest of them stay decoded.
decoded: Recent[Identity] = Recent(max_bytes=64_000_000)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A dataset's file, mapped; it stays the same bars when the file is replaced meanwhile."""

    name: str
    source: pa.BufferReader
    file: pq.ParquetFile
    facts: dict[str, Any]
    # The same as it stands in the file.
    document: bytes
    identity: Identity
    # The files that could have answered too.
    others: tuple[Identity, ...] = ()

    @property
    def full_symbol(self) -> str:
        key = self.facts["key"]
        return f"{key['exchange']}:{key['symbol']}" if key["exchange"] else str(key["symbol"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.source.close()


def open_dataset(place: Place, key: DatasetKey) -> OpenFile:
    """Open the key's own file. Raises `DatasetNotFound` or `FileCorrupt`."""
    return _open(place, key, (key.n_bars, relative_path(key).partition("/")[2]))


def _open(place: Place, key: DatasetKey, numbered: Numbered) -> OpenFile:
    n_bars, name = numbered
    path = place.folder / name
    try:
        status, source = map_file(path)
    except FileNotFoundError:
        raise not_found(place, [key]) from None
    try:
        file = pq.ParquetFile(source)
    except (pa.ArrowException, OSError) as error:
        raise FileCorrupt(f"{name} is no readable parquet file.") from error
    document, facts = _facts_of(file, name)
    said = facts["key"]
    if said.get("n_bars") != n_bars or any(said.get(part) != getattr(key, part) for part in _KEY):
        raise FileCorrupt(f"{name} is the file of another dataset: {said}.")
    require_rows(file, n_rows=facts["n_rows"], n_bars=n_bars, name=name)
    identity = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    return OpenFile(name, source, file, facts, document, identity)


_KEY = ("source", "exchange", "symbol", "timeframe", "session", "adjustment")


def _facts_of(file: pq.ParquetFile, name: str) -> tuple[bytes, dict[str, Any]]:
    schema = file.schema_arrow
    try:
        document = (schema.metadata or {})[METADATA_KEY]
        facts: dict[str, Any] = json.loads(document)
        version, _ = facts["format"], facts["n_rows"]
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{name} does not say which dataset it is.") from error
    if version != METADATA_FORMAT:
        raise FileCorrupt(f"{name} is of the format {version}, which is not known here.")
    if schema.names != list(BAR_COLUMNS):
        raise FileCorrupt(f"{name} does not have the columns of a dataset.")
    return document, facts


def find_dataset(place: Place, key: DatasetKey) -> OpenFile:
    """Open the dataset that answers for the key. Raises `DatasetNotFound` or `FileCorrupt`."""
    return open_best(place, key, list_folder(place.folder).files_of(key))


def open_best(place: Place, key: DatasetKey, files: Sequence[Numbered]) -> OpenFile:
    """Open, of these files of one series, the one that answers for the key by the rule of `choice`."""
    if len(files) == 1:
        return _open(place, key, files[0])
    opened = []
    for numbered in files:
        # One deleted since the folder was listed is no candidate.
        with suppress(DatasetNotFound):
            opened.append(_open(place, key, numbered))
    in_order = selection.in_order(opened, key.n_bars, _described)
    if not in_order:
        raise not_found(place, [key])
    for other in in_order[1:]:
        other.close()
    return replace(in_order[0], others=tuple(other.identity for other in in_order[1:]))


def _described(opened: OpenFile) -> selection.Candidate:
    facts = opened.facts
    fetched_at = datetime.fromisoformat(facts["fetched_at"])
    return selection.Candidate(facts["key"]["n_bars"], facts["n_rows"], fetched_at)


@dataclass(frozen=True, slots=True)
class Part:
    """Which bars of a dataset: of its newest `n_bars`, 0 for all, those within [start, end), in ms.

    A last one that is forming counts among the newest, also where `closed` leaves it out.
    """

    columns: tuple[str, ...] = BAR_COLUMNS
    start_ms: int | None = None
    end_ms: int | None = None
    n_bars: int = 0
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """Some bars of one dataset, what the dataset holds for the reader, and what is known about its edges.

    `forming_ms` is the opening of a bar among them that may still change, `next_ms` that of
    the bar after the last of them, and `closed_by_ms` an instant at which the last one had
    closed for sure; `NEVER` where there is no such bar or instant.
    """

    table: pa.Table
    times: Integers
    facts: dict[str, Any]
    forming_ms: int
    next_ms: int
    closed_by_ms: int
    coverage: Coverage


def read_part(opened: OpenFile, part: Part) -> Bars:
    """Read the wanted part; only its columns are decoded. Raises `FileCorrupt`."""
    read = _Reading(opened, part.columns)
    times = read.times()
    is_forming = not is_final(opened.facts)
    first, last = _bounds(times, part, is_forming=is_forming)
    at_end = last == len(times)
    return Bars(
        table=read.rows(first, last),
        times=times[first:last],
        facts=opened.facts,
        forming_ms=int(times[-1]) if at_end and is_forming else NEVER,
        next_ms=NEVER if at_end else int(times[last]),
        closed_by_ms=closed_by(opened.facts) if at_end and not is_forming else NEVER,
        coverage=_coverage_of(times, part, is_forming=is_forming),
    )


def _coverage_of(times: Integers, part: Part, *, is_forming: bool) -> Coverage:
    first, last = _bounds(times, replace(part, start_ms=None, end_ms=None), is_forming=is_forming)
    return coverage_of(times[first:last], part.start_ms)


def _bounds(times: Integers, part: Part, *, is_forming: bool) -> tuple[int, int]:
    """Return the first row of the part and the one after its last."""
    first = 0 if part.start_ms is None else int(np.searchsorted(times, part.start_ms))
    last = len(times) if part.end_ms is None else int(np.searchsorted(times, part.end_ms))
    if part.n_bars:
        first = max(first, len(times) - part.n_bars)
    if part.closed and is_forming:
        last = min(last, len(times) - 1)
    return first, max(first, last)


class _Reading:
    """One file being read: whole and compared with its hash at first, after that only in parts."""

    def __init__(self, opened: OpenFile, names: Sequence[str]) -> None:
        self._opened = opened
        self._names = list(names)
        self._table = decoded.get(opened.identity)
        if self._table is not None:
            return
        if opened.identity not in _verified:
            self._table = read_unverified(opened, BAR_COLUMNS)
            verify(opened, self._table)
            decoded.add(opened.identity, self._table)
        elif opened.file.num_row_groups == 1:
            self._table = read_unverified(opened, tuple(dict.fromkeys(["time", *names])))

    def times(self) -> Integers:
        if self._table is not None:
            return times_of(self._table)
        return times_of(read_unverified(self._opened, ["time"]))

    def rows(self, first: int, last: int) -> pa.Table:
        """Return the rows from `first` up to `last`; row groups beside them are not decoded."""
        if self._table is not None:
            return self._table.select(self._names).slice(first, last - first)
        metadata = self._opened.file.metadata
        ends = np.cumsum([metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)])
        begin = int(np.searchsorted(ends, first, "right"))
        groups = list(range(begin, int(np.searchsorted(ends, last)) + 1)) if last > first else []
        table = read_unverified(self._opened, self._names, groups=groups)
        return table.slice(first - int(ends[begin - 1]) if begin else first, last - first)


def times_of(table: pa.Table) -> Integers:
    """Return the opening instants in milliseconds, without a copy where that can be."""
    # Not `cast`: viewing the same bytes takes a tenth of the time.
    times: Integers = table["time"].combine_chunks().view(pa.int64()).to_numpy()
    return times


def read_unverified(
    opened: OpenFile, columns: Sequence[str], *, groups: list[int] | None = None
) -> pa.Table:
    """Read some columns, of some row groups or all, trusting what the file says of itself."""
    # By their positions, as `ParquetFile.read` asks the reader too: looking names up takes
    # a third of the time when one column of a thousand files is read.
    positions = [BAR_COLUMNS.index(name) for name in columns]
    reader = opened.file.reader
    try:
        if groups is not None:
            return reader.read_row_groups(groups, column_indices=positions, use_threads=False)
        return reader.read_all(column_indices=positions, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise FileCorrupt(f"{opened.name} cannot be read to its end.") from error


def verify(opened: OpenFile, table: pa.Table) -> None:
    """Compare the bars with the file's hash, once for each version of it in this process."""
    if not table.schema.remove_metadata().equals(bars.BAR_SCHEMA):
        raise FileCorrupt(f"{opened.name} does not have the columns of a dataset.")
    if bars.content_hash(table) != opened.facts["content_hash"]:
        raise FileCorrupt(
            f"{opened.name} does not hold the bars that were written; fetch it again."
        )
    _verified.add(opened.identity)


def is_intact(place: Place, key: DatasetKey) -> bool:
    """Return whether the key's own file is there, with the bars that were written."""
    try:
        with open_dataset(place, key) as opened:
            if opened.identity not in _verified:
                verify(opened, read_unverified(opened, BAR_COLUMNS))
    except (DatasetNotFound, FileCorrupt):
        return False
    return True


def forget() -> None:
    """Let go of what this process knows of files: all are read and compared anew."""
    decoded.clear()
    _verified.clear()


def clock_of(facts: dict[str, Any]) -> Clock:
    """Return what decides when a bar of this dataset closes."""
    instrument = facts["instrument"]
    return Clock(
        timeframe=facts["key"]["timeframe"],
        hours=instrument.get("session_hours", ""),
        timezone=instrument.get("timezone", ""),
    )


def is_final(facts: dict[str, Any]) -> bool:
    """Return whether the dataset's last bar had closed for sure when it was fetched."""
    if facts["last_bar_final"] is not None:
        return bool(facts["last_bar_final"])
    # The feed did not say, so only a bar that must have been over counts as closed.
    last = to_ms(facts["last_time"])
    closed_at = int(close_instants(np.array([last], dtype=np.int64), clock_of(facts))[0])
    return closed_at <= _known_until(facts)


def closed_by(facts: dict[str, Any]) -> int:
    """Return an instant by which a last bar that is final had closed, in ms."""
    return _known_until(facts) + CLOCK_ERROR_MS


def _known_until(facts: dict[str, Any]) -> int:
    """Return up to which instant the feed knew the exchange when the dataset was fetched."""
    return to_ms(facts["fetched_at"]) - 1000 * int(facts["instrument"].get("delay_s") or 0)


def to_ms(text: str) -> int:
    """Return an instant that a file names, in whole milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
