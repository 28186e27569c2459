"""Bars of an archive with the state of the series at the same instant: its ends, its newest fetch, its forming bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from datasets.bars import BAR_COLUMNS, content_hash
from datasets.storage.archives.archive_files import from_ms, times_of, to_ms
from datasets.storage.archives.archive_queries import forming_at, read_newest, read_range
from datasets.storage.archives.series_document import Hole, OlderBars, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder

# The newest bars among which the last fetch before an instant is looked for.
_NEWEST = 64
# The oldest bar of an instant is looked for within this time, and then within ever longer times.
_FIRST_WITHIN = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class KnownBars:
    """Some bars of an archive as they were known at an instant, or as they are now.

    `rows` has `SEEN_SCHEMA`, oldest bar first. `document` is the state of the generation that
    the rows belong to. `forming` are the openings, UNIX ms, of bars that were not final when they
    were last received. `held_from` and `held_through` are the openings of the oldest and of the
    newest bar that the archive had, `fetched_at` the time of its newest fetch that brought a
    value. `as_of` is the instant, None for now.
    """

    rows: pa.Table
    document: SeriesDocument
    forming: frozenset[int]
    held_from: datetime | None
    held_through: datetime | None
    fetched_at: datetime
    as_of: datetime | None = None

    @property
    def last_bar_final(self) -> bool | None:
        """Whether the last row is final; None where that is not known, as without rows.

        Of the newest bar at a past instant the feed's word was not kept unless the bar changed
        later.
        """
        if not self.rows.num_rows:
            return None
        last = self.rows["time"][-1].as_py()
        if to_ms(last) in self.forming:
            return False
        return None if self.as_of is not None and last == self.held_through else True

    def holes_in(self, start: datetime | None, end: datetime | None) -> list[Hole]:
        """Return the holes between `start` and `end`; None for the ends of the archive."""
        return [
            hole
            for hole in self.document.holes
            if (start is None or hole.before > start) and (end is None or hole.after < end)
        ]

    @property
    def rescaled(self) -> list[OlderBars]:
        """The steps by which some of the rows were brought to the present basis."""
        first = self.rows["time"][0].as_py() if self.rows.num_rows else None
        return [
            piece for piece in self.document.rescaled if first is not None and first < piece.before
        ]

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that a dataset's file with these rows would state."""
        times = self.rows["time"]
        bars = self.rows.select(BAR_COLUMNS)
        return {
            "key": self.document.key.as_dict() | {"n_bars": bars.num_rows},
            "content_hash": content_hash(bars),
            "n_rows": bars.num_rows,
            "first_time": times[0].as_py().isoformat() if len(times) else None,
            "last_time": times[-1].as_py().isoformat() if len(times) else None,
            "last_bar_final": self.last_bar_final,
            "fetched_at": self.fetched_at.isoformat(),
            "instrument": self.document.instrument.as_dict(),
            "is_limited": False,
            "doubts": {},
        }


def read_known(
    folder: SeriesFolder,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    n_bars: int | None = None,
    as_of: datetime | None = None,
) -> KnownBars:
    """Return bars with the state of the series; parameters and errors as for `read_range`."""
    found = read_range(folder, start, end, n_bars=n_bars, as_of=as_of)
    document = found.document
    if as_of is None:
        forming = frozenset(map(to_ms, document.forming))
        held = (document.first_time, document.last_time)
        return KnownBars(found.rows, document, forming, *held, document.fetched_at)
    newest = read_newest(folder, _NEWEST, as_of=as_of).rows
    own = document.generation_at(as_of)
    if own != document.generation:
        document = folder.earlier(own.number).document() or document
    return KnownBars(
        rows=found.rows,
        document=document,
        forming=frozenset(forming_at(folder, as_of)),
        held_from=_first_known(folder, document, as_of),
        held_through=newest["time"][-1].as_py() if newest.num_rows else None,
        fetched_at=from_ms(int(times_of(newest, "seen_at").max())) if newest.num_rows else as_of,
        as_of=as_of,
    )


def _first_known(
    folder: SeriesFolder, document: SeriesDocument, as_of: datetime
) -> datetime | None:
    """Return the opening of the oldest bar at `as_of`; `document` is the state of its generation."""
    within = _FIRST_WITHIN
    end = document.first_time
    while end is not None and end <= as_of:
        end = end + within
        rows = read_range(folder, None, end, as_of=as_of).rows
        if rows.num_rows:
            first: datetime = rows["time"][0].as_py()
            return first
        within *= 8
    return None
