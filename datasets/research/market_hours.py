"""Market hours for research: sessions, open or closed, trading days, times of the day, missing bars."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import time
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.bars import BarLength
from datasets.calendars import (
    DAY_MS,
    Calendar,
    bar_days,
    find_gaps,
    find_market,
    parse_zone,
    second_opinion,
)
from datasets.calendars.last_bars import iso_to_ms
from datasets.errors import DatasetNotFound, FileCorrupt, InvalidRequest
from datasets.research.arguments import Instant, parse_key, to_instant
from datasets.research.dataframes import clock_in, index_ms, to_ms, utc_index
from datasets.research.folders import find_place, list_keys, not_found
from datasets.research.reader import open_dataset

_COUNTS = ("expected", "held", "missing", "quiet", "breaks", "outside", "share_held")
_COLUMNS = ["kind", "start", "end", "n_bars", "n_sessions", "reason"]
Market = str | pd.DataFrame | pd.Series


def sessions(
    market: Market,
    start: Instant,
    end: Instant,
    *,
    periods: bool = False,
    session: str = "regular",
    source: str | None = None,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Return the trading sessions of a market, from the calendar that the feed has sent.

    Parameters
    ----------
    market
        Loaded bars, or a symbol such as `NASDAQ:AAPL`: then the dataset of the symbol that was
        fetched last, of any timeframe, gives the calendar.
    start, end
        Trading dates, from `start` (inclusive) to `end` (exclusive).
    periods
        One row for each period of trade: a session with a lunch break has two.
    session, source, folder
        As for `load`; only for a symbol.

    Returns
    -------
    pd.DataFrame
        Index `date`, the trading date, datetime64[s] without a zone; columns `open` (the first
        instant of trade) and `close` (the instant after the last), datetime64[ms, UTC]. A night
        session opens on an earlier day than its date.

    Raises
    ------
    DatasetNotFound
        There is no dataset of the symbol.
    InvalidRequest
        An argument is wrong, or the market's hours are not known.
    """
    calendar = _calendar_of(market, session=session, source=source, folder=folder)
    bounds = [to_instant(start, "start"), to_instant(end, "end")]
    for name, bound in zip(("start", "end"), bounds, strict=True):
        if bound is None:
            raise InvalidRequest({name: ["A trading date is needed, such as '2025-01-31'."]})
    span = np.array(bounds, dtype=np.int64)
    table = calendar.table(np.sort(span))
    rows = np.flatnonzero((table.dates * DAY_MS >= span[0]) & (table.dates * DAY_MS < span[1]))
    opens, closes = table.opens[rows], table.closes[rows]
    if periods:
        is_in = np.isin(table.period_rows, rows)
        rows = table.period_rows[is_in]
        opens, closes = table.period_opens[is_in], table.period_closes[is_in]
    dates = table.dates[rows].view("M8[D]").astype("M8[s]")
    columns = {"open": utc_index(opens), "close": utc_index(closes)}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(dates, name="date"))


def is_open(
    market: Market,
    at: Instant | pd.DatetimeIndex | None = None,
    *,
    session: str = "regular",
    source: str | None = None,
    folder: str | Path | None = None,
) -> bool | pd.Series:
    """Return whether a market trades at an instant, or at each instant of an index.

    Parameters
    ----------
    market, session, source, folder
        As for `sessions`.
    at
        An instant, now by default, UTC unless it carries a time zone; or an index of instants.

    Returns
    -------
    bool or pd.Series
        True from the opening of a period of trade (inclusive) to its close (exclusive); false
        in a lunch break. For an index a series of bool on the same index.

    Raises
    ------
    The errors of `sessions`.
    """
    calendar = _calendar_of(market, session=session, source=source, folder=folder)
    if isinstance(at, pd.DatetimeIndex):
        instants = to_ms(at)
    else:
        moment = to_instant(pd.Timestamp.now("UTC") if at is None else at, "at")
        instants = np.array([moment], dtype=np.int64)
    table = calendar.table(np.sort(instants))
    period = np.searchsorted(table.period_opens, instants, "right") - 1
    found = (period >= 0) & (instants < table.period_closes[period])
    return (
        pd.Series(found, index=at, name="is_open")
        if isinstance(at, pd.DatetimeIndex)
        else bool(found[0])
    )


def trading_day(bars: pd.DataFrame | pd.Series) -> pd.Series:
    """Return the trading date of each bar, as the exchange counts it.

    Parameters
    ----------
    bars
        Loaded or resampled bars, or features on the same index.

    Returns
    -------
    pd.Series
        `trading_day`, datetime64[s] without a zone, on the same index. The bars of a night session
        have the date on which the session ends, and those of Friday night the date of Monday.

    Raises
    ------
    InvalidRequest
        The bars do not say their timeframe, or the market's hours are not known.
    """
    calendar = _calendar_of(bars, session="regular", source=None, folder=None)
    length = BarLength.parse(str(bars.attrs.get("timeframe", "")))
    dates = bar_days(index_ms(bars), calendar, length).dates
    return pd.Series(dates.view("M8[D]").astype("M8[s]"), index=bars.index, name="trading_day")


def between(
    bars: pd.DataFrame,
    start: str | time,
    end: str | time,
    *,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Return the bars that open between two times of the exchange's day.

    Parameters
    ----------
    bars
        Loaded bars, or features on the same index.
    start, end
        Times of the exchange's clock such as `09:30`, `start` inclusive, `end` exclusive. An
        `end` that is earlier than `start` is on the next day.
    timezone
        Replaces the time zone in the frame's `attrs`.

    Raises
    ------
    InvalidRequest
        A time is none, both are the same, or the time zone is not known.
    """
    first, last = _time_of_day(start, "start"), _time_of_day(end, "end")
    if first == last:
        raise InvalidRequest({"end": [f"{end!r} is the same time as the start."]})
    name = str(bars.attrs.get("timezone", "") if timezone is None else timezone)
    zone = parse_zone(name)
    if zone is None:
        message = f"The exchange's time zone ({name!r}) is not known; pass timezone=."
        raise InvalidRequest({"timezone": [message]})
    local = utc_index(index_ms(bars)).tz_convert(zone)
    rows = local.indexer_between_time(first, last, include_start=True, include_end=False)
    return bars.iloc[rows]


def gaps(
    bars: pd.DataFrame | pd.Series,
    *,
    timeframe: str | None = None,
    hours: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Compare bars with those that the exchange's calendar expects from the first to the last.

    Parameters
    ----------
    bars
        From `load`, or a slice of the result.
    timeframe, hours, timezone
        Replace the values in the frame's `attrs`, as in `close_times`.

    Returns
    -------
    pd.DataFrame
        One row for each run of missing bars: `kind` (`session_missing`, `hole` or `unsure`),
        `start` and `end` (datetime64[ms, UTC]; the opening of the first missing bar and the end
        of the last), `n_bars`, `n_sessions`, and `reason`, a sentence. `attrs` count the bars:
        `expected`, `held`, `missing`, `quiet`, `breaks`, `outside`, `share_held`.

    Raises
    ------
    InvalidRequest
        The bars do not say their timeframe, or the exchange's hours are not known.
    """
    clock = clock_in(bars, timeframe=timeframe, hours=hours, timezone=timezone)
    if not clock.calendar.is_known:
        message = f"The exchange's hours are not known. {clock.calendar.why_unknown}"
        raise InvalidRequest({"hours": [message]})
    times = index_ms(bars)
    facts = {name: str(bars.attrs.get(name, "")) for name in ("exchange", "type")}
    market = find_market(facts["exchange"], facts["type"]) if len(times) else None
    report = find_gaps(
        times,
        clock.calendar,
        BarLength.parse(clock.timeframe),
        opinion=second_opinion(market, bars.index[0].year) if market else None,
    )
    rows = [asdict(finding) | {"kind": finding.kind.value} for finding in report.findings]
    found = pd.DataFrame(rows, columns=_COLUMNS)
    for name in ("start", "end"):
        found[name] = pd.to_datetime(found[name], utc=True).dt.as_unit("ms")
    counts = report.as_dict()
    found.attrs.update({name: counts[name] for name in _COUNTS})
    return found


def _time_of_day(value: str | time, name: str) -> time:
    try:
        moment = time.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, time) or moment.tzinfo is not None:
        raise InvalidRequest({name: [f"{value!r} is no time of the day, such as '09:30'."]})
    return moment


def _calendar_of(
    market: Market, *, session: str, source: str | None, folder: str | Path | None
) -> Calendar:
    """Return the calendar of loaded bars, or of a symbol's newest dataset; its hours are known."""
    if isinstance(market, str):
        wanted = parse_key(source, market, "1D", n_bars=None, session=session, adjustment="splits")
        place, found = find_place(folder, source), []
        keys = [
            key
            for key in list_keys(place)
            if (key.full_symbol, key.session) == (wanted.full_symbol, wanted.session)
        ]
        place.bring(keys)
        for key in keys:
            with suppress(DatasetNotFound, FileCorrupt), open_dataset(place, key) as opened:
                found.append(opened.facts)
        if not found:
            raise not_found(place, [wanted])
        newest = max(found, key=lambda facts: iso_to_ms(facts["fetched_at"]))
        calendar = Calendar.of(newest["instrument"])
    else:
        calendar = Calendar.of({str(name): value for name, value in market.attrs.items()})
    if not calendar.is_known:
        message = f"The market's hours are not known. {calendar.why_unknown}"
        raise InvalidRequest({"market": [message]})
    return calendar
