"""Bars of an archive for one request: a range at any depth, the newest bars, and both as of an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS, BarLength, content_hash
from datasets.calendars import Calendar, GapReport, find_gaps, find_market, second_opinion
from datasets.errors import InvalidRequest
from datasets.formats import FORMATS, choose_columns
from datasets.models import Series
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import (
    ArchivedBars,
    forming_at,
    read_newest,
    read_range,
)
from datasets.storage.archives.series_document import SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder

# The most bars in one reply; about 100 MB of JSON.
MOST_BARS = 1_000_000


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """The parameters of one request for bars of an archive.

    Parameters
    ----------
    start, end
        Only bars that open at or after `start` and before `end`.
    n_bars
        Only the newest ones; with `start` or `end` the newest of that range.
    as_of
        The bars as they were known at this instant.
    closed
        Leave out bars that were not final when they were last received.
    fields
        Only these columns; empty: all columns.
    format
        A name of `formats.FORMATS`.
    """

    start: datetime | None = None
    end: datetime | None = None
    n_bars: int | None = None
    as_of: datetime | None = None
    closed: bool = False
    fields: tuple[str, ...] = ()
    format: str = "json"

    def read(self, folder: SeriesFolder) -> ArchivedBars:
        """Return the bars of the archive, all columns; errors as for `render_archive`."""
        has_range = self.start is not None or self.end is not None
        if self.n_bars is not None and not has_range:
            found = read_newest(folder, self.n_bars, as_of=self.as_of)
        else:
            found = read_range(folder, self.start, self.end, as_of=self.as_of)
        rows = found.rows
        if self.closed:
            forming = [to_ms(each) for each in found.document.forming]
            if self.as_of is not None:
                forming = sorted(forming_at(folder, self.as_of))
            is_forming = np.isin(times_of(rows), np.array(forming, dtype=np.int64))
            rows = rows.filter(pa.array(~is_forming))
        if self.n_bars is not None:
            rows = rows.slice(max(0, rows.num_rows - self.n_bars))
        if rows.num_rows > MOST_BARS:
            raise InvalidRequest(
                {
                    "start": [
                        f"These are {rows.num_rows} bars; one reply has at most {MOST_BARS}. Ask in parts."
                    ]
                }
            )
        return ArchivedBars(rows.combine_chunks(), found.document)


class ArchiveBody(NamedTuple):
    """The body of a reply, and the headers that say what the archive holds."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


def render_archive(series: Series, request: ArchiveRequest) -> ArchiveBody:
    """Return the reply's body with the bars of the series' archive.

    Raises `InvalidRequest` for more than `MOST_BARS` bars, and the errors of `read_range`.
    """
    found = request.read(folder_of(series.series_key))
    part = found.rows.select(BAR_COLUMNS)
    bars = FORMATS[request.format].render(part.select(choose_columns(request.fields)))
    facts = covered_part(found.document, request)
    if FORMATS[request.format].has_envelope:
        bars = _enveloped(series, found.document, request, part, bars, facts)
    names = ("covers_start", "held_from", "held_through")
    said = orjson.loads(
        orjson.dumps({name: facts[name] for name in names}, option=orjson.OPT_UTC_Z)
    )
    headers = tuple(
        (name.replace("_", "-").title(), value if isinstance(value, str) else str(value).lower())
        for name, value in said.items()
        if value is not None
    )
    return ArchiveBody(bars, headers)


def covered_part(document: SeriesDocument, request: ArchiveRequest) -> dict[str, Any]:
    """Return what of the requested range is covered: the ends of the archive, and the holes in the range."""
    start, end = request.start, request.end
    holes = [
        {"after": hole.after, "before": hole.before, "reason": hole.reason}
        for hole in document.holes
        if (start is None or hole.before > start) and (end is None or hole.after < end)
    ]
    first = document.first_time
    covers_start = None if start is None or first is None else first <= start
    generation, why = document.generation, ""
    # Older bars exist and cannot stand beside the present ones.
    if not covers_start and generation.number > 1:
        if document.awaiting:
            why = (
                f"The basis of the prices changed ({generation.finding}, factor {generation.basis.factor:g}). Older bars "
                "join again once a second fetch, at least an hour later, confirms it."
            )
        elif generation.finding == "feed_changed":
            why = "Another feed answers since; the bars of the feed before are kept as an earlier generation."
    return {
        "covers_start": covers_start,
        "held_from": first,
        "held_through": document.last_time,
        "holes": holes,
        "why_held_from": why,
    }


def gap_report(series: Series) -> GapReport:
    """Return which bars of the archive are missing, by the calendar of its feed.

    Raises the errors of `read_range`.
    """
    found = read_range(folder_of(series.series_key))
    document = found.document
    market = find_market(series.exchange, document.instrument.type)
    first = document.first_time
    return find_gaps(
        times_of(found.rows),
        Calendar.of(document.instrument.as_dict()),
        BarLength.parse(series.timeframe),
        opinion=second_opinion(market, first.year) if market and first else None,
        seams=[(to_ms(hole.after), to_ms(hole.before)) for hole in document.holes],
    )


def _enveloped(
    series: Series,
    document: SeriesDocument,
    request: ArchiveRequest,
    part: pa.Table,
    bars: bytes,
    facts: dict[str, Any],
) -> bytes:
    """Return the JSON reply: the keys of a dataset's reply, and those of the archive."""
    is_known = part.num_rows and request.as_of is None
    head = {name: getattr(series, name) for name in ("symbol", "exchange", "timeframe")}
    tail = {
        "source": series.source,
        "dataset": None,
        "cached": True,
        "stale": False,
        "fetched_at": document.fetched_at,
        "last_bar_final": part["time"][-1].as_py() not in document.forming if is_known else None,
        "n_bars": request.n_bars,
        "session": series.session,
        "adjustment": series.adjustment,
        "content_hash": content_hash(part),
        "is_limited": False,
        **facts,
        "doubts": {},
        "series": series.pk,
        "as_of": request.as_of,
        "generation": document.generation.number,
        "rescaled": [
            {"before": piece.before, "factor": piece.basis.factor, "offset": piece.basis.offset}
            for piece in document.rescaled
        ],
        "instrument": document.instrument.as_dict(),
    }
    return (
        orjson.dumps({**head, "count": part.num_rows})[:-1]
        + b',"ohlc":'
        + bars
        + b","
        + orjson.dumps(tail, option=orjson.OPT_UTC_Z)[1:]
    )
