"""`resample`: longer bars out of shorter ones, by the exchange's own hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.bars import Timeframe
from datasets.calendars import (
    MINUTE_MS,
    NEVER,
    Hours,
    day_ends,
    day_starts,
    earliest_next,
    is_within,
    parse_hours,
    parse_zone,
    trading_dates,
    trading_days,
)
from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME, VALUE_COLUMNS
from datasets.research.dataframes import (
    Edge,
    Integers,
    as_frame,
    clock_in,
    close_times,
    drop_forming,
    index_ms,
    require_unique,
    to_ms,
    utc_index,
)

_ORDER = {"1D": 1, "1W": 2, "1M": 3}


@dataclass(frozen=True, slots=True)
class _Windows:
    """For each short bar the longer bar that contains the short bar; instants in ms.

    No two longer bars have the same end. `starts` is the opening of the first short bar of a
    complete longer bar. `opens` is the opening of the longer bar: in a week that begins with
    a holiday, `opens` is later than `starts`.
    """

    starts: Integers
    ends: Integers
    opens: Integers


def resample(
    bars: pd.DataFrame | pd.Series,
    timeframe: str,
    *,
    base: str | None = None,
    hours: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Aggregate bars to a longer timeframe, by the exchange's own hours.

    The result holds complete bars only. A longer bar is left out where its beginning is not
    among the bars, or where it may still be forming at their end. A forming bar is never used.

    Parameters
    ----------
    bars
        From `load`, with any of the columns `open high low close volume`, or one of them.
    timeframe
        A longer timeframe: minutes or hours that the base divides, `1D`, `1W` or `1M`.
    base, hours, timezone
        Replace the values in the frame's `attrs`, or stand in for missing ones.

    Returns
    -------
    pd.DataFrame
        Index `time`, the longer bar's opening by the exchange's hours, datetime64[ms, UTC];
        the same columns, float64; and `close_time`, the instant from which on the row is known.

    Raises
    ------
    InvalidRequest
        The timeframes do not add up, or the exchange's hours are not known.
    """
    bars = as_frame(bars)
    clock = clock_in(bars, timeframe=base, hours=hours, timezone=timezone)
    target, base_timeframe = Timeframe.parse(timeframe), Timeframe.parse(clock.timeframe)
    check_longer(base_timeframe, target)
    known, zone = parse_hours(clock.hours), parse_zone(clock.timezone)
    if known is None or zone is None:
        message = (
            f"The exchange's hours ({clock.hours!r}, {clock.timezone!r}) are not known well enough "
            "to find its days; pass hours= such as '0930-1600' or '24x7', and timezone=."
        )
        raise InvalidRequest({"hours": [message]})
    require_unique(bars)
    closed, n_outside = drop_forming(bars), 0
    if target is Timeframe.DAY_1:
        # A day is over when the exchange closes, so a bar that opens later is not part of it.
        inside = is_within(index_ms(closed), known, zone)
        closed, n_outside = closed[inside], int(np.count_nonzero(~inside))
    times = index_ms(closed)
    following = _earliest_following(bars, times, base_timeframe, known, zone)
    closes = close_times(
        closed, timeframe=clock.timeframe, hours=clock.hours, timezone=clock.timezone
    )
    windows = _windows(times, target, known, zone)
    result = _aggregate(closed, times, to_ms(pd.DatetimeIndex(closes)), windows, following)
    attrs = {str(name): value for name, value in bars.attrs.items() if name != "edge"}
    # Bars that were resampled before keep the timeframe of their file: write_lock needs it.
    origin = attrs.get("resampled_from") or attrs.get("timeframe")
    attrs |= {"timeframe": target.value, "resampled_from": origin, "n_outside_hours": n_outside}
    result.attrs.update(attrs)
    return result


def check_longer(base: Timeframe, target: Timeframe) -> None:
    """Raise `InvalidRequest` unless bars of `base` add up to bars of `target`."""
    if base.minutes is not None and target.minutes is not None:
        fits = target.minutes > base.minutes and target.minutes % base.minutes == 0
    else:
        # Weeks do not add up to months.
        fits = _ORDER.get(target, 0) > _ORDER.get(base, 0) and base is not Timeframe.WEEK_1
    if not fits:
        message = f"Bars of {base.value} do not add up to bars of {target.value}."
        raise InvalidRequest({"timeframe": [message]})


def _windows(times: Integers, target: Timeframe, hours: Hours, zone: ZoneInfo) -> _Windows:
    """Return the longer bar of each short bar that opens at `times`."""
    days = trading_days(times, hours, zone)
    if target.minutes is not None:
        opened = day_starts(days, hours, zone)
        length = target.minutes * MINUTE_MS
        starts = opened + (times - opened) // length * length
        # The last window of a day ends with the day; trade after that has windows of its own.
        day_end = day_ends(days, hours, zone)
        after = times >= day_end
        starts = np.where(after, day_end + (times - day_end) // length * length, starts)
        ends = np.where(after, starts + length, np.minimum(starts + length, day_end))
        return _Windows(starts, ends, starts)
    opens, dates = day_starts(days, hours, zone), trading_dates(days, hours)
    lead = int(hours.is_overnight)
    if target is Timeframe.DAY_1:
        return _Windows(opens, day_ends(dates - lead, hours, zone), opens)
    if target is Timeframe.WEEK_1:
        first = dates - (dates + 3) % 7  # the Monday; 1970-01-01 was a Thursday
        next_first = first + 7
    else:
        months = dates.view("M8[D]").astype("M8[M]")
        first = months.astype("M8[D]").view(np.int64)
        next_first = (months + 1).astype("M8[D]").view(np.int64)
    starts, ends = (day_starts(dates - lead, hours, zone) for dates in (first, next_first))
    return _Windows(starts, ends, opens)


def _earliest_following(
    bars: pd.DataFrame, times: Integers, base: Timeframe, hours: Hours, zone: ZoneInfo
) -> int:
    """Return the instant in ms up to which no bar is missing after the last of `times`."""
    if not len(times):
        return 0
    every = index_ms(bars)
    edge = Edge(bars, every)
    known = [earliest_next(int(times[-1]), base, hours, zone), edge.complete_until_ms]
    # A forming bar, or a bar outside the hours, also proves that nothing is missing before it.
    known += [int(instant) for instant in every[every > times[-1]][:1]]
    return max(*known, 0 if edge.next_ms == NEVER else edge.next_ms)


def _aggregate(
    bars: pd.DataFrame, times: Integers, closes: Integers, windows: _Windows, following: int
) -> pd.DataFrame:
    """Return one row for each complete window; `following` decides about the last one."""
    begin = np.flatnonzero(np.diff(windows.ends, prepend=windows.ends[:1] - 1))
    stop = np.append(begin[1:], len(times))[: len(begin)]
    complete = np.ones(len(begin), dtype=bool)
    if len(begin):
        complete[0] = times[0] == windows.starts[0]
        complete[-1] &= following >= windows.ends[-1]
    begin, stop = begin[complete], stop[complete]
    # A bar of another grid than ours may end after its window: the row is known at the later end.
    ends = np.maximum(windows.ends[begin], closes[stop - 1]) if len(begin) else begin
    result = pd.DataFrame(_columns(bars, begin, stop), index=utc_index(windows.opens[begin]))
    result[CLOSE_TIME] = utc_index(ends)
    return result


def _columns(
    bars: pd.DataFrame, begin: Integers, stop: Integers
) -> dict[str, npt.NDArray[np.float64]]:
    """Return each column, aggregated over the rows from `begin` up to `stop` of each window."""
    # A bar without a volume makes the sum NaN: the sum is unknown. pandas' own sum skips the bar.
    reducers: dict[str, np.ufunc] = {"high": np.maximum, "low": np.minimum, "volume": np.add}
    columns: dict[str, Any] = {}
    for name in VALUE_COLUMNS:
        if name not in bars.columns:
            continue
        # Rows after the last complete window must not count into that window.
        values = bars[name].to_numpy(dtype=np.float64)[: stop[-1] if len(stop) else 0]
        if name == "open":
            columns[name] = values[begin]
        elif name == "close":
            columns[name] = values[stop - 1]
        else:
            columns[name] = reducers[name].reduceat(values, begin) if len(begin) else values
    if not columns:
        allowed = ", ".join(VALUE_COLUMNS)
        raise InvalidRequest({"bars": [f"The bars have none of the columns {allowed}."]})
    return columns
