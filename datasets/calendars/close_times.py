"""Close times: for each bar an instant that is never before its true close.

Each rule gives an upper bound of the close, and the earliest valid bound is the result. The
opening of the instrument's next bar is always a bound. The other bounds depend on the bar's
length and on the exchange's hours. docs/research/no-look-ahead.md describes the rules.

No bound depends on later events: a bound follows from the bar itself, or from the opening of
another bar that is known by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from datasets.bars import BarLength
from datasets.calendars.hours import (
    DAY_MS,
    MINUTE_MS,
    Hours,
    Integers,
    day_starts,
    from_wall,
    parse_hours,
    parse_zone,
    position_in_day,
    to_wall,
    trading_days,
)

NEVER = int(np.iinfo(np.int64).max)

# Longest trading day; an intraday bar ends with its trading day.
_LONGEST_INTRADAY_DAYS = 1
# Longest day, week and month, counted from its first trading day.
_LONGEST_DAYS = {"D": 1, "W": 7, "M": 31}
# A trading day that begins in an evening can begin before several holidays: in Osaka the
# trading day of 2019-05-07 began on 2019-04-26, eleven days before its end.
_LONGEST_LEAD_DAYS = 13

# Longest distance of two neighbouring bars without a weekend or a holiday between them.
_LONGEST_GAP_MS = {
    "m": MINUTE_MS, "D": 25 * 60 * MINUTE_MS, "W": 11 * DAY_MS, "M": 38 * DAY_MS
}  # fmt: skip
_DAY = BarLength(1, "D")


@dataclass(frozen=True, slots=True)
class Clock:
    """The facts that decide the close of a bar; `hours` is a session string, "" where unknown."""

    timeframe: str
    hours: str
    timezone: str


def close_instants(
    times: Integers, clock: Clock, *, next_ms: int = NEVER, closed_by_ms: int = NEVER
) -> Integers:
    """Return for each bar an instant at which the bar has certainly closed.

    All instants are UNIX milliseconds. `times` are the openings of the bars, shape (n,),
    strictly increasing; the result has the same shape. Two facts about the last bar are
    optional: `next_ms`, the opening of the next bar, and `closed_by_ms`, an instant at which
    the last bar had closed.
    """
    if not len(times):
        return times
    following = np.append(times[1:], np.int64(next_ms))
    if closed_by_ms > times[-1]:
        following[-1] = min(next_ms, closed_by_ms)
    length = BarLength.parse(clock.timeframe)
    hours, zone = parse_hours(clock.hours), parse_zone(clock.timezone)
    if length.minutes is None:
        bounds = _calendar_bounds(times, length, hours, zone)
    elif hours is None or zone is None:
        bounds = times + _LONGEST_INTRADAY_DAYS * DAY_MS
    else:
        bounds = _intraday_bounds(times, length.minutes * MINUTE_MS, hours, zone)
    return np.minimum(bounds, following)


def _days_later(times: Integers, zone: ZoneInfo | None, days: int) -> Integers:
    """Return the same wall-clock times `days` days later."""
    if zone is None:
        # In an unknown zone summer time may end in between, which adds an hour.
        return times + days * DAY_MS + 60 * MINUTE_MS
    return from_wall(to_wall(times, zone) + days * DAY_MS, zone)


def _calendar_bounds(
    times: Integers, length: BarLength, hours: Hours | None, zone: ZoneInfo | None
) -> Integers:
    """Return the bounds for days, weeks and months."""
    days = _LONGEST_DAYS[length.unit] * length.count
    if length.unit == "D" and length.count > 1:
        # A weekend can follow each of the days.
        days *= 3
    longest = _days_later(times, zone, days + _LONGEST_LEAD_DAYS)
    if hours is None or zone is None or hours.is_overnight:
        return longest
    if length != _DAY:
        return _days_later(times, zone, days)
    since, _, day_end = position_in_day(times, hours, zone)
    is_inside = since < hours.end * MINUTE_MS
    return np.where(is_inside, day_end, longest)


def _intraday_bounds(times: Integers, length: int, hours: Hours, zone: ZoneInfo) -> Integers:
    """Return the bounds for intraday bars of `length` ms."""
    nominal = times + length
    if hours.end == 1440 and len(hours.legs) == 1:
        return nominal
    since, _, day_end = position_in_day(times, hours, zone)
    bounds = nominal.copy()
    is_inside = since < hours.end * MINUTE_MS
    # A bar that reaches a break can continue after it; only the end of the day is certain.
    last_begin = hours.legs[-1][0] * MINUTE_MS
    in_last = is_inside & (since >= last_begin)
    bounds[in_last] = np.minimum(nominal, day_end)[in_last]
    for begin, end in hours.legs[:-1]:
        runs_on = (since >= begin * MINUTE_MS) & (since < last_begin)
        runs_on &= since + length > end * MINUTE_MS
        bounds[runs_on] = np.maximum(nominal, day_end)[runs_on]
    return bounds


def is_spread_out(times: Integers, clock: Clock, *, n_gaps: int = 2) -> bool:
    """Return whether the rows are too far apart to be consecutive bars of this timeframe.

    True when no two rows are neighbours, and at least `n_gaps` gaps are not explained by the
    trading hours; a single such gap can be a holiday.
    """
    length = BarLength.parse(clock.timeframe)
    gaps = np.diff(times)
    longest = _LONGEST_GAP_MS[length.unit] * length.count
    if len(gaps) < n_gaps or (gaps <= longest).any():
        return False
    return int(np.count_nonzero(~_is_gap_explained(times, clock))) >= n_gaps


def _is_gap_explained(times: Integers, clock: Clock) -> npt.NDArray[np.bool_]:
    """Return for each row but the last whether the trading hours explain the gap after the row."""
    length = BarLength.parse(clock.timeframe)
    hours, zone = parse_hours(clock.hours), parse_zone(clock.timezone)
    rows = times[:-1]
    if length == _DAY and not (hours is not None and hours.has_weekend):
        dates = (times if zone is None else to_wall(times, zone)) // DAY_MS
        dates = dates + int(hours is not None and hours.is_overnight)
        n_skipped = np.busday_count((dates[:-1] + 1).view("M8[D]"), dates[1:].view("M8[D]"))
        none_skipped: npt.NDArray[np.bool_] = n_skipped == 0
        return none_skipped
    if length.minutes is None or hours is None or zone is None:
        return np.zeros(len(rows), dtype=bool)
    since, _, _ = position_in_day(rows, hours, zone)
    ends = np.array([end for _, end in hours.legs], dtype=np.int64) * MINUTE_MS
    leg_end = ends[np.minimum(np.searchsorted(ends, since, "right"), len(ends) - 1)]
    until_end = leg_end - since
    is_at_end: npt.NDArray[np.bool_] = until_end <= length.minutes * MINUTE_MS
    return is_at_end & (until_end > 0)


def earliest_next(opened: int, length: BarLength, hours: Hours, zone: ZoneInfo) -> int:
    """Return the earliest possible opening of the bar after the one that opened at `opened`."""
    number = trading_days(np.array([opened], dtype=np.int64), hours, zone)
    next_day = int(day_starts(number + 1, hours, zone)[0])
    if length.minutes is None:
        return next_day
    day = int(day_starts(number, hours, zone)[0])
    # A new bar can open after a break.
    legs = [day + begin * MINUTE_MS for begin, _ in hours.legs]
    later = [begin for begin in [*legs, next_day] if begin > opened]
    return min(opened + length.minutes * MINUTE_MS, *later)
