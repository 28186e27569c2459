"""Reader of one dataset's file: its metadata, and the requested part of its bars."""

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
from datasets.bars import BAR_COLUMNS, KEY_FIELDS, DatasetKey, selection
from datasets.bars.coverage import Coverage, coverage_of
from datasets.calendars import NEVER
from datasets.calendars.last_bars import closed_by, is_final
from datasets.errors import DatasetNotFound, FileCorrupt
from datasets.research.arguments import Part
from datasets.research.folders import Place, not_found
from datasets.research.listings import Numbered, list_folder
from datasets.research.table_cache import TableCache
from datasets.storage import (
    METADATA_FORMAT,
    METADATA_KEY,
    Status,
    map_file,
    relative_path,
    require_rows,
    to_status,
)

Integers = npt.NDArray[np.int64]
# Identifies one version of one file.
Identity = tuple[str, Status]

# Files whose bars this process has compared with their hash.
_verified: set[Identity] = set()
# A sweep loads the same few datasets again and again: the latest of them stay decoded.
decoded: TableCache[Identity, pa.Table] = TableCache(max_bytes=64_000_000)
# Openings of all bars of the datasets that were loaded last, by content hash. The bars of an
# illiquid instrument lie far apart; by these openings they differ from rows that pandas aggregated.
openings: TableCache[str, Integers] = TableCache(max_bytes=32_000_000)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A dataset's file, mapped into memory: its bars stay the same when the file is replaced.

    `facts` is the file's metadata, `document` the same metadata as the file's own JSON bytes,
    and `others` the files that could have been chosen instead.
    """

    name: str
    source: pa.BufferReader
    file: pq.ParquetFile
    facts: dict[str, Any]
    document: bytes
    identity: Identity
    others: tuple[Identity, ...] = ()

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
    document, facts = _metadata(file, name)
    found, own = facts["key"], replace(key, n_bars=n_bars)
    if any(found.get(field) != getattr(own, field) for field in KEY_FIELDS):
        raise FileCorrupt(f"{name} is the file of another dataset: {found}.")
    require_rows(file, n_rows=facts["n_rows"], n_bars=n_bars, name=name)
    return OpenFile(name, source, file, facts, document, (str(path), to_status(status)))


def _metadata(file: pq.ParquetFile, name: str) -> tuple[bytes, dict[str, Any]]:
    """Return the file's own description, as bytes and parsed. Raises `FileCorrupt`."""
    schema = file.schema_arrow
    try:
        document = (schema.metadata or {})[METADATA_KEY]
        facts: dict[str, Any] = json.loads(document)
        version, _ = facts["format"], facts["n_rows"]
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{name} has no readable metadata of a dataset.") from error
    if version != METADATA_FORMAT:
        raise FileCorrupt(f"{name} has the format {version}, which this version cannot read.")
    if schema.names != list(BAR_COLUMNS):
        raise FileCorrupt(f"{name} does not have the columns of a dataset.")
    return document, facts


def find_dataset(place: Place, key: DatasetKey) -> OpenFile:
    """Open the dataset that answers for the key. Raises `DatasetNotFound` or `FileCorrupt`."""
    return open_best(place, key, list_folder(place.folder).files_of(key))


def open_best(place: Place, key: DatasetKey, files: Sequence[Numbered]) -> OpenFile:
    """Open the one of these files that answers for the key, by the rule of `bars.selection`.

    The files are of the key's series. Raises `DatasetNotFound` or `FileCorrupt`.
    """
    if len(files) == 1:
        return _open(place, key, files[0])
    opened = []
    for numbered in files:
        # A file that was deleted since the folder was listed is no candidate.
        with suppress(DatasetNotFound):
            opened.append(_open(place, key, numbered))
    in_order = selection.in_order(
        opened,
        key.n_bars,
        lambda one: selection.Candidate(
            one.facts["key"]["n_bars"],
            one.facts["n_rows"],
            datetime.fromisoformat(one.facts["fetched_at"]),
        ),
    )
    if not in_order:
        raise not_found(place, [key])
    for other in in_order[1:]:
        other.close()
    return replace(in_order[0], others=tuple(other.identity for other in in_order[1:]))


@dataclass(frozen=True, slots=True)
class Bars:
    """Some bars of one dataset, with the file's metadata and the state of the last bar.

    Instants are in ms, `NEVER` for none. `forming_ms` is the opening of a bar among them that
    may still change, `next_ms` the opening of the dataset's next bar after them, and
    `closed_by_ms` an instant by which the last of them had closed for sure. `coverage` says
    how much of the requested range the dataset holds.
    """

    table: pa.Table
    times: Integers
    facts: dict[str, Any]
    forming_ms: int
    next_ms: int
    closed_by_ms: int
    coverage: Coverage


def with_facts(opened: OpenFile, facts: dict[str, Any]) -> OpenFile:
    """Return the open file with other metadata than its own."""
    return replace(opened, facts=facts, document=json.dumps(facts).encode())


def read_part(opened: OpenFile, part: Part) -> Bars:
    """Read a part of the file's bars; only the columns of the part are decoded. Raises `FileCorrupt`."""
    reading = _Reading(opened, part.columns)
    times = reading.times()
    openings.add(opened.facts["content_hash"], times)
    is_forming = not is_final(opened.facts)
    first, last = part.bounds(times, is_forming=is_forming)
    whole = replace(part, start_ms=None, end_ms=None)
    held = slice(*whole.bounds(times, is_forming=is_forming))
    at_end = last == len(times)
    return Bars(
        table=reading.rows(first, last),
        times=times[first:last],
        facts=opened.facts,
        forming_ms=int(times[-1]) if at_end and is_forming else NEVER,
        next_ms=NEVER if at_end else int(times[last]),
        closed_by_ms=closed_by(opened.facts) if at_end and not is_forming else NEVER,
        coverage=coverage_of(times[held], part.start_ms),
    )


class _Reading:
    """One read of a file: whole and compared with its hash the first time, later only in parts."""

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
        """Return the openings of all bars in the file, in ms."""
        if self._table is not None:
            return times_of(self._table)
        return times_of(read_unverified(self._opened, ["time"]))

    def rows(self, first: int, last: int) -> pa.Table:
        """Return the rows from `first` up to `last`; other row groups are not decoded."""
        if self._table is not None:
            return self._table.select(self._names).slice(first, last - first)
        metadata = self._opened.file.metadata
        ends = np.cumsum([metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)])
        begin = int(np.searchsorted(ends, first, "right"))
        groups = list(range(begin, int(np.searchsorted(ends, last)) + 1)) if last > first else []
        table = read_unverified(self._opened, self._names, groups=groups)
        return table.slice(first - int(ends[begin - 1]) if begin else first, last - first)


def times_of(table: pa.Table) -> Integers:
    """Return the opening instants in ms, without a copy where possible."""
    # Not `cast`: viewing the same bytes takes a tenth of the time.
    times: Integers = table["time"].combine_chunks().view(pa.int64()).to_numpy()
    return times


def read_unverified(
    opened: OpenFile, columns: Sequence[str], *, groups: list[int] | None = None
) -> pa.Table:
    """Read some columns, of some row groups or of all, without a comparison with the hash."""
    # By position, as `ParquetFile.read` does: the lookup of names takes a third of the time
    # when one column of a thousand files is read.
    positions = [BAR_COLUMNS.index(name) for name in columns]
    reader = opened.file.reader
    try:
        if groups is not None:
            return reader.read_row_groups(groups, column_indices=positions, use_threads=False)
        return reader.read_all(column_indices=positions, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise FileCorrupt(f"{opened.name} cannot be read to its end.") from error


def verify(opened: OpenFile, table: pa.Table) -> None:
    """Compare all bars with the file's hash and note the file as verified. Raises `FileCorrupt`."""
    if not table.schema.remove_metadata().equals(bars.BAR_SCHEMA):
        raise FileCorrupt(f"{opened.name} does not have the columns of a dataset.")
    if bars.content_hash(table) != opened.facts["content_hash"]:
        raise FileCorrupt(
            f"{opened.name} does not hold the bars that were written; fetch it again."
        )
    _verified.add(opened.identity)


def is_intact(place: Place, key: DatasetKey) -> bool:
    """Return whether the key's own file exists and holds the bars that were written."""
    try:
        with open_dataset(place, key) as opened:
            if opened.identity not in _verified:
                verify(opened, read_unverified(opened, BAR_COLUMNS))
    except (DatasetNotFound, FileCorrupt):
        return False
    return True


def forget() -> None:
    """Empty the memory of this process: every file is read and compared with its hash again."""
    decoded.clear()
    _verified.clear()
