"""Bars of an archive for one request: a range at any depth, the newest bars, and both as of an instant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS, BarLength, content_hash
from datasets.calendars import Calendar, GapReport, find_gaps, find_market, second_opinion
from datasets.calendars.last_bars import is_final
from datasets.catalog.holdings import complete_until
from datasets.errors import InvalidRequest
from datasets.formats import FORMATS, REPLY_KEY, choose_columns
from datasets.models import Series
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.known_bars import KnownBars, read_known
from datasets.storage.archives.series_folder import SeriesFolder

# The most bars in one reply; about 100 MB of JSON.
MOST_BARS = 1_000_000
_IN_HEADERS = ("last_bar_final", "covers_start", "held_from", "held_through")


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
    is_cached, is_stale
        Whether the reply came without a fetch, and whether a newer fetch is on its way.
    """

    start: datetime | None = None
    end: datetime | None = None
    n_bars: int | None = None
    as_of: datetime | None = None
    closed: bool = False
    fields: tuple[str, ...] = ()
    format: str = "json"
    is_cached: bool = True
    is_stale: bool = False

    def read(self, folder: SeriesFolder) -> KnownBars:
        """Return the bars of the archive, all columns; errors as for `render_archive`."""
        found = read_known(folder, self.start, self.end, n_bars=self.n_bars, as_of=self.as_of)
        rows = found.rows
        if self.closed and rows.num_rows:
            is_forming = np.isin(times_of(rows), list(found.forming))
            is_forming[-1] = not _is_last_final(found)
            rows = rows.filter(pa.array(~is_forming))
        if rows.num_rows > MOST_BARS:
            raise InvalidRequest(
                {
                    "start": [
                        f"These are {rows.num_rows} bars; one reply has at most {MOST_BARS}. Ask in parts."
                    ]
                }
            )
        return replace(found, rows=rows.combine_chunks())


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
    chosen = FORMATS[request.format]
    envelope = _envelope(series, found, request)
    columns = part.select(choose_columns(request.fields))
    if chosen.has_envelope:
        body = _enveloped(envelope, chosen.render(columns))
    else:
        # Arrow and parquet hold the rest of the reply in their metadata.
        text = orjson.dumps(envelope, option=orjson.OPT_UTC_Z)
        body = chosen.render(columns.replace_schema_metadata({REPLY_KEY: text}))
    said = orjson.loads(
        orjson.dumps({name: envelope[name] for name in _IN_HEADERS}, option=orjson.OPT_UTC_Z)
    )
    headers = tuple(
        (name.replace("_", "-").title(), value if isinstance(value, str) else str(value).lower())
        for name, value in said.items()
        if value is not None
    )
    return ArchiveBody(body, headers)


def _is_last_final(found: KnownBars) -> bool:
    """Return whether the last bar is final; without the feed's word only a bar whose time was over is."""
    final = found.last_bar_final
    return is_final(found.facts) if final is None else final


def covered_part(found: KnownBars, request: ArchiveRequest) -> dict[str, Any]:
    """Return what of the requested range is covered: the ends of the archive, and the holes in the range."""
    document, first = found.document, found.held_from
    start, end = request.start, request.end
    if request.n_bars is not None and found.rows.num_rows:
        # Of the newest bars of a range, the holes before them are no matter.
        oldest = found.rows["time"][0].as_py()
        start = oldest if start is None else max(start, oldest)
    holes = [
        {"after": hole.after, "before": hole.before, "reason": hole.reason}
        for hole in found.holes_in(start, end)
    ]
    covers_start = None
    if request.start is not None and first is not None:
        covers_start = first <= request.start
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
        "held_through": found.held_through,
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


def _envelope(series: Series, found: KnownBars, request: ArchiveRequest) -> dict[str, Any]:
    """Return the reply without its bars: the keys of a dataset's reply, and those of the archive."""
    document, part = found.document, found.rows.select(BAR_COLUMNS)
    return {
        **{name: getattr(series, name) for name in ("symbol", "exchange", "timeframe")},
        "count": part.num_rows,
        "source": series.source,
        "dataset": None,
        "cached": request.is_cached,
        "stale": request.is_stale,
        "fetched_at": found.fetched_at,
        "last_bar_final": _is_last_final(found) if part.num_rows else None,
        "complete_until": complete_until(series) if request.as_of is None else None,
        "n_bars": request.n_bars,
        "session": series.session,
        "adjustment": series.adjustment,
        "content_hash": content_hash(part),
        "is_limited": False,
        **covered_part(found, request),
        "doubts": {},
        "series": series.pk,
        "as_of": request.as_of,
        "generation": document.generation.number,
        "rescaled": [
            {"before": piece.before, "factor": piece.basis.factor, "offset": piece.basis.offset}
            for piece in found.rescaled
        ],
        "instrument": document.instrument.as_dict(),
    }


def _enveloped(envelope: dict[str, Any], bars: bytes) -> bytes:
    """Return the JSON reply, with the bars after the first four keys."""
    names = list(envelope)
    head = {name: envelope[name] for name in names[:4]}
    tail = {name: envelope[name] for name in names[4:]}
    return (
        orjson.dumps(head)[:-1]
        + b',"ohlc":'
        + bars
        + b","
        + orjson.dumps(tail, option=orjson.OPT_UTC_Z)[1:]
    )
