"""Longer bars out of shorter ones, and a longer timeframe beside a shorter one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.bars import Timeframe
from datasets.calendars.close_times import (
    MINUTE_MS,
    NEVER,
    Clock,
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
from datasets.research.dataframes import (
    CLOSE_TIME,
    VALUE_COLUMNS,
    Edge,
    as_frame,
    clock_in,
    close_times,
    drop_forming,
    index_ms,
    require_unique,
    to_ms,
    utc_index,
)

Integers = npt.NDArray[np.int64]

_ORDER = {"1D": 1, "1W": 2, "1M": 3}


@dataclass(frozen=True, slots=True)
class _Windows:
    """For each bar the stretch of time of the longer bar that it belongs to.

    No two of them have the same end. `starts` is when the first bar of a whole one opens, and
    `opens` when the longer bar does: a week that begins with a holiday, after its start.
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

    Only whole bars come out: a longer bar whose beginning is not among the bars, or which
    may still be going on at their end, is left out, and a forming bar is never used.

    Parameters
    ----------
    bars
        From `load`, with any of the columns `open high low close volume`, or one of them.
    timeframe
        A longer one: minutes or hours that the base divides, `1D`, `1W` or `1M`.
    base, hours, timezone
        What the frame's `attrs` do not say.

    Returns
    -------
    pd.DataFrame
        Index `time`, the longer bar's opening by the exchange's hours; the same columns, and
        `close_time`, before which nobody could have known the row.
    """
    bars = as_frame(bars)
    clock = clock_in(bars, timeframe=base, hours=hours, timezone=timezone)
    target = Timeframe.parse(timeframe)
    base_timeframe = Timeframe.parse(clock.timeframe)
    check_longer(base_timeframe, target)
    known, zone = _known_hours(clock)
    require_unique(bars)
    closed, n_outside = _usable(bars, target, known, zone)
    times = index_ms(closed)
    closes = to_ms(
        pd.DatetimeIndex(
            close_times(
                closed, timeframe=clock.timeframe, hours=clock.hours, timezone=clock.timezone
            )
        )
    )
    windows = _windows(times, target, known, zone)
    following = _earliest_following(bars, times, base_timeframe, known, zone)
    result = _aggregate(closed, times, closes, windows, following)
    result.attrs.update(_attributes(bars, target) | {"n_outside_hours": n_outside})
    return result


def _known_hours(clock: Clock) -> tuple[Hours, ZoneInfo]:
    hours, zone = parse_hours(clock.hours), parse_zone(clock.timezone)
    if hours is None or zone is None:
        message = (
            f"The exchange's hours ({clock.hours!r}, {clock.timezone!r}) are not known well enough "
            "to find its days; pass hours= such as '0930-1600' or '24x7', and timezone=."
        )
        raise InvalidRequest({"hours": [message]})
    return hours, zone


def _usable(
    bars: pd.DataFrame, target: Timeframe, hours: Hours, zone: ZoneInfo
) -> tuple[pd.DataFrame, int]:
    """Return the bars that can be aggregated, and how many were left out for their hours."""
    closed = drop_forming(bars)
    if target is not Timeframe.DAY_1:
        return closed, 0
    # A day is over when the exchange closes, so what opens after that cannot be in it.
    inside = is_within(index_ms(closed), hours, zone)
    return closed[inside], int(np.count_nonzero(~inside))


def check_longer(base: Timeframe, target: Timeframe) -> None:
    """Raise `InvalidRequest` unless bars of the one add up to bars of the other."""
    if base.minutes is not None and target.minutes is not None:
        fits = target.minutes > base.minutes and target.minutes % base.minutes == 0
    else:
        # Weeks do not add up to months.
        fits = _ORDER.get(target, 0) > _ORDER.get(base, 0) and base is not Timeframe.WEEK_1
    if not fits:
        message = f"Bars of {base.value} do not add up to bars of {target.value}."
        raise InvalidRequest({"timeframe": [message]})


def _windows(times: Integers, target: Timeframe, hours: Hours, zone: ZoneInfo) -> _Windows:
    days = trading_days(times, hours, zone)
    if target.minutes is not None:
        opened = day_starts(days, hours, zone)
        length = target.minutes * MINUTE_MS
        starts = opened + (times - opened) // length * length
        # The last one of a day ends with the day; trade after that has windows of its own.
        day_end = day_ends(days, hours, zone)
        after = times >= day_end
        starts = np.where(after, day_end + (times - day_end) // length * length, starts)
        ends = np.where(after, starts + length, np.minimum(starts + length, day_end))
        return _Windows(starts, ends, starts)
    own, dates = day_starts(days, hours, zone), trading_dates(days, hours)
    lead = int(hours.is_overnight)
    if target is Timeframe.DAY_1:
        return _Windows(own, day_ends(dates - lead, hours, zone), own)
    first, following = _period(dates, target)
    starts, ends = (day_starts(dates - lead, hours, zone) for dates in (first, following))
    return _Windows(starts, ends, own)


def _period(dates: Integers, target: Timeframe) -> tuple[Integers, Integers]:
    """Return the first date of the week or month, and the first of the next one."""
    if target is Timeframe.WEEK_1:
        mondays = dates - (dates + 3) % 7  # 1970-01-01 was a Thursday
        return mondays, mondays + 7
    months = dates.view("M8[D]").astype("M8[M]")
    first = months.astype("M8[D]").view(np.int64)
    return first, (months + 1).astype("M8[D]").view(np.int64)


def _aggregate(
    bars: pd.DataFrame, times: Integers, closes: Integers, windows: _Windows, following: int
) -> pd.DataFrame:
    begin = np.flatnonzero(np.diff(windows.ends, prepend=windows.ends[:1] - 1))
    stop = np.append(begin[1:], len(times))[: len(begin)]
    chosen = np.ones(len(begin), dtype=bool)
    if len(begin):
        chosen[0] = times[0] == windows.starts[0]
        chosen[-1] &= following >= windows.ends[-1]
    begin, stop = begin[chosen], stop[chosen]
    # A bar that goes beyond its window, by another grid than ours, is waited for.
    ends = np.maximum(windows.ends[begin], closes[stop - 1]) if len(begin) else begin
    result = pd.DataFrame(_columns(bars, begin, stop), index=utc_index(windows.opens[begin]))
    result[CLOSE_TIME] = utc_index(ends)
    return result


def _earliest_following(
    bars: pd.DataFrame, times: Integers, base: Timeframe, hours: Hours, zone: ZoneInfo
) -> int:
    """Return the instant before which no bar can be missing after the last one."""
    if not len(times):
        return 0
    every = index_ms(bars)
    edge = Edge(bars, every)
    known = [earliest_next(int(times[-1]), base, hours, zone), edge.complete_until_ms]
    # A forming bar and one outside the hours are not aggregated, and say as much as any.
    known += [int(instant) for instant in every[every > times[-1]][:1]]
    return max(*known, 0 if edge.next_ms == NEVER else edge.next_ms)


def _columns(bars: pd.DataFrame, begin: Integers, stop: Integers) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in VALUE_COLUMNS:
        if name not in bars.columns:
            continue
        values = bars[name].to_numpy(dtype=np.float64)
        columns[name] = _reduced(name, values, begin, stop) if len(begin) else values[:0]
    if not columns:
        allowed = ", ".join(VALUE_COLUMNS)
        raise InvalidRequest({"bars": [f"The bars have none of the columns {allowed}."]})
    return columns


def _reduced(
    name: str, values: npt.NDArray[np.float64], begin: Integers, stop: Integers
) -> npt.NDArray[np.float64]:
    if name == "open":
        return values[begin]
    if name == "close":
        return values[stop - 1]
    # What lies after the last window that is whole must not count into it.
    until = values[: stop[-1]]
    if name == "high":
        return np.maximum.reduceat(until, begin)
    if name == "low":
        return np.minimum.reduceat(until, begin)
    # One bar without a volume makes the sum unknown, so it is NaN; pandas' own sum passes it over.
    return np.add.reduceat(until, begin)


def _attributes(bars: pd.DataFrame, target: Timeframe) -> dict[str, Any]:
    attributes = {str(name): value for name, value in bars.attrs.items() if name != "edge"}
    # The first one, whose file it is, when this has been done before.
    base = attributes.get("resampled_from") or attributes.get("timeframe")
    return attributes | {"timeframe": target.value, "resampled_from": base}


def align(
    bars: pd.DataFrame | pd.Series,
    higher: pd.DataFrame | pd.Series,
    *,
    columns: str | Sequence[str] | None = None,
    suffix: str | None = None,
    at: Literal["close", "open"] = "close",
) -> pd.DataFrame:
    """Put beside each bar the newest row of a longer timeframe that had closed by then.

    Parameters
    ----------
    bars
        The shorter bars, or features of them on the same index.
    higher
        Bars of `load` or `resample`, or features of them. They need their `attrs`, or a
        column `close_time`.
    columns
        Which columns of `higher`; all by default.
    suffix
        What is put after their names; `_1D` and the like by default.
    at
        `close`: a row is used once its own bar has closed (the usual case). `open`: when
        its bar opens.

    Returns
    -------
    pd.DataFrame
        `bars` with the columns of `higher`; NaN before its first bar had closed.
    """
    if at not in ("close", "open"):
        raise InvalidRequest({"at": [f"{at!r} is not allowed; use close or open."]})
    left, known = as_frame(bars), drop_forming(as_frame(higher, "higher"))
    if at == "open" and left.index.name == CLOSE_TIME:
        raise InvalidRequest({"at": ["These rows say when they closed and not when they opened."]})
    names = _joinable(known, columns)
    ending = f"_{known.attrs.get('timeframe', 'higher')}" if suffix is None else suffix
    twice = [name for name in left.columns if name in {f"{known_as}{ending}" for known_as in names}]
    if twice:
        message = f"The bars have a column {twice[0]!r} already; give another suffix."
        raise InvalidRequest({"suffix": [message]})
    asked_at = index_ms(left) if at == "open" else _closes_ms(left)
    # The newest row whose bar had closed; -1 where none had.
    position = np.searchsorted(np.maximum.accumulate(_closes_ms(known)), asked_at, "right") - 1
    taken = _rows_at(known[names], position).set_axis(left.index)
    joined = left.join(taken.add_suffix(ending))
    joined.attrs = left.attrs
    return joined


def _joinable(known: pd.DataFrame, columns: str | Sequence[str] | None) -> list[Any]:
    """Return the columns of the longer timeframe that are wanted, without when it closes."""
    there = [name for name in known.columns if name != CLOSE_TIME]
    require_unique(known)
    if columns is None:
        return there
    wanted = [columns] if isinstance(columns, str) else list(columns)
    wrong = [name for name in wanted if name not in there]
    if wrong:
        allowed = ", ".join(map(str, there))
        message = f"{wrong[0]!r} is no column of the longer timeframe; use some of {allowed}."
        raise InvalidRequest({"columns": [message]})
    return wanted


def _rows_at(frame: pd.DataFrame, position: npt.NDArray[np.intp]) -> pd.DataFrame:
    """Return the rows at these positions, NaN for -1."""
    if not len(frame):
        return pd.DataFrame(np.nan, index=range(len(position)), columns=frame.columns)
    taken = frame.take(np.maximum(position, 0))
    if (position >= 0).all():
        return taken
    return taken.where(np.broadcast_to((position >= 0)[:, None], taken.shape))


def _closes_ms(bars: pd.DataFrame) -> Integers:
    return to_ms(pd.DatetimeIndex(close_times(bars)))
