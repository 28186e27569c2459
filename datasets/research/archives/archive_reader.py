"""Reader of a series' archive: a range at any depth, and bars as they were known at an instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.bars.coverage import coverage_of
from datasets.calendars import NEVER
from datasets.calendars.last_bars import closed_by, is_final
from datasets.research.archives.archive_sources import Archive
from datasets.research.arguments import Part
from datasets.research.reader import Bars, openings
from datasets.storage.archives.archive_files import from_ms, times_of, to_ms

# The bar after a range is looked for within these times; the last one is for any pause of trade.
_NEXT_WITHIN = (timedelta(days=1), timedelta(days=10), timedelta(days=4000))


def read_archived(archive: Archive, part: Part, as_of_ms: int | None = None) -> Bars:
    """Read a part of an archive.

    Parameters
    ----------
    archive
        The archive of the series, in a folder or of a service.
    part
        The range, the number of bars and the columns. With a number the range is one of the
        newest bars.
    as_of_ms
        UNIX ms: the bars as they were known at this instant; None for the present ones.

    Raises
    ------
    The errors of `Archive.read`.
    """
    as_of = None if as_of_ms is None else from_ms(as_of_ms)
    if part.n_bars:
        found = archive.read(n_bars=part.n_bars, as_of=as_of)
    else:
        bounds = (None if ms is None else from_ms(ms) for ms in (part.start_ms, part.end_ms))
        found = archive.read(*bounds, as_of=as_of)
    next_ms = next_opening(archive, found.rows, part.end_ms, found.held_through, as_of)
    ends = [found.held_from, found.held_through]
    held = np.array([to_ms(each) for each in ends if each is not None], dtype=np.int64)
    if part.n_bars:
        held = times_of(found.rows)
    openings.add(found.facts["content_hash"], times_of(found.rows))
    return bars_of(found.rows, found.facts, part, held=held, next_ms=next_ms)


def bars_of(
    rows: pa.Table,
    facts: dict[str, Any],
    part: Part,
    *,
    held: npt.NDArray[np.int64],
    next_ms: int,
) -> Bars:
    """Return the part of these rows (`BAR_SCHEMA`) as bars of the loader.

    `held` are openings, UNIX ms, from the oldest to the newest bar that the part could have.
    `next_ms` is the opening of the bar after the rows, `NEVER` for none.
    """
    times = times_of(rows)
    is_forming = bool(len(times)) and not is_final(facts)
    first, last = part.bounds(times, is_forming=is_forming)
    at_end = last == len(times)
    is_newest = at_end and next_ms == NEVER and bool(len(times))
    return Bars(
        table=rows.select(part.columns).slice(first, last - first),
        times=times[first:last],
        facts=facts,
        forming_ms=int(times[-1]) if at_end and is_forming else NEVER,
        next_ms=next_ms if at_end else int(times[last]),
        closed_by_ms=closed_by(facts) if is_newest and not is_forming else NEVER,
        coverage=coverage_of(held, part.start_ms),
    )


def next_opening(
    archive: Archive,
    rows: pa.Table,
    end_ms: int | None,
    held_through: datetime | None,
    as_of: datetime | None,
) -> int:
    """Return the opening of the archive's bar after these rows, UNIX ms; `NEVER` where there is none.

    `end_ms` is the end of a range without any rows.
    """
    if rows.num_rows:
        end_ms = int(times_of(rows)[-1]) + 1
    if end_ms is None or held_through is None or to_ms(held_through) < end_ms:
        return NEVER
    end = from_ms(end_ms)
    for within in _NEXT_WITHIN:
        later = times_of(archive.read(end, end + within, as_of=as_of).rows)
        if len(later):
            return int(later[0])
    return NEVER
