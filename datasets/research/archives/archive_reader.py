"""Reader of a series' archive: a range at any depth, and bars as they were known at an instant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from datasets.bars import BAR_COLUMNS, DatasetKey, content_hash
from datasets.bars.coverage import coverage_of
from datasets.bars.series_keys import SeriesKey
from datasets.calendars import NEVER
from datasets.research.arguments import Part
from datasets.research.folders import Place
from datasets.research.last_bars import closed_by
from datasets.research.reader import Bars, openings
from datasets.storage.archives.archive_files import from_ms, times_of, to_ms
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.archive_queries import ArchivedBars, forming_at, read_range
from datasets.storage.archives.series_document import SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder

# The bar after a range is looked for within these times; the last one is for any pause of trade.
_NEXT_WITHIN = (timedelta(days=1), timedelta(days=10), timedelta(days=4000))


def archive_of(place: Place, key: DatasetKey) -> SeriesFolder:
    """Return the folder of the archive of the key's series, which need not exist."""
    archives = place.datasets.parent / "archive"
    return SeriesFolder(archives / relative_folder(SeriesKey.of(key)))


def read_archived(folder: SeriesFolder, part: Part, as_of_ms: int | None = None) -> Bars:
    """Read a part of an archive.

    Parameters
    ----------
    folder
        The folder of the series.
    part
        The range, the number of bars and the columns.
    as_of_ms
        UNIX ms: the bars as they were known at this instant; None for the present ones.

    Raises
    ------
    FileMissing
        Nothing was archived, or nothing yet at that instant.
    FileCorrupt
        A file does not hold the bars that were written.
    """
    if as_of_ms is None:
        found = read_range(folder, _instant(part.start_ms), _instant(part.end_ms))
        forming = {to_ms(each) for each in found.document.forming}
        ends = (found.document.first_time, found.document.last_time)
        held = np.array([to_ms(each) for each in ends if each is not None], dtype=np.int64)
    else:
        found = read_range(folder, as_of=from_ms(as_of_ms))
        forming = forming_at(folder, from_ms(as_of_ms))
        held = times_of(found.rows)
    times = times_of(found.rows)
    is_forming = bool(len(times)) and int(times[-1]) in forming
    first, last = part.bounds(times, is_forming=is_forming)
    rows = found.rows.slice(first, last - first).select(BAR_COLUMNS)
    facts = _facts(found)
    openings.add(facts["content_hash"], times)
    next_ms = int(times[last]) if last < len(times) else _next_ms(folder, part, found, as_of_ms)
    at_end = next_ms == NEVER
    return Bars(
        table=rows.select(part.columns),
        times=times[first:last],
        facts=facts,
        forming_ms=int(times[-1]) if is_forming and last == len(times) else NEVER,
        next_ms=next_ms,
        closed_by_ms=closed_by(facts) if at_end and not is_forming else NEVER,
        coverage=coverage_of(held, part.start_ms),
    )


def _instant(milliseconds: int | None) -> Any:
    return None if milliseconds is None else from_ms(milliseconds)


def _next_ms(folder: SeriesFolder, part: Part, found: ArchivedBars, as_of_ms: int | None) -> int:
    """Return the opening of the bar after the part; `NEVER` where there is none."""
    last = found.document.last_time
    if as_of_ms is not None or part.end_ms is None or last is None or to_ms(last) < part.end_ms:
        return NEVER
    end = from_ms(part.end_ms)
    for within in _NEXT_WITHIN:
        later = times_of(read_range(folder, end, end + within).rows)
        if len(later):
            return int(later[0])
    return NEVER


def _facts(found: ArchivedBars) -> dict[str, Any]:
    """Return what a dataset's file would say of these bars."""
    document, rows = found.document, found.rows
    times = rows["time"]
    return {
        "key": document.key.as_dict() | {"n_bars": rows.num_rows},
        "content_hash": content_hash(rows.select(BAR_COLUMNS)),
        "n_rows": rows.num_rows,
        "first_time": times[0].as_py().isoformat() if len(times) else None,
        "last_time": times[-1].as_py().isoformat() if len(times) else None,
        "last_bar_final": document.is_last_final,
        "fetched_at": document.fetched_at.isoformat(),
        "instrument": document.instrument.as_dict(),
        "is_limited": False,
        "doubts": {},
    }


def begins_before(document: SeriesDocument | None, held_from_ms: int) -> bool:
    """Return whether the archive has bars before this opening, UNIX ms."""
    first = None if document is None else document.first_time
    return first is not None and to_ms(first) < held_from_ms
