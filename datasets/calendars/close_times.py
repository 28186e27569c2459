"""Close times: for each bar an instant that is never before its true close.

Each rule gives an upper bound of the close, and the earliest valid bound is the result. The
opening of the instrument's next bar is always a bound. The other bounds depend on the bar's
length and on the calendar. docs/research/no-look-ahead.md describes the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.close_bounds import NEVER, calendar_bounds, intraday_bounds
from datasets.calendars.trading_dates import bar_days, period_starts
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Integers

# Longest trading day; an intraday bar ends with its trading day.
_LONGEST_INTRADAY_DAYS = 1


@dataclass(frozen=True, slots=True)
class Clock:
    """The facts that decide the close of a bar."""

    timeframe: str
    calendar: Calendar


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
    length, calendar = BarLength.parse(clock.timeframe), clock.calendar
    if length.minutes is None:
        bounds = calendar_bounds(times, length, calendar, following)
    elif not calendar.is_known:
        bounds = times + _LONGEST_INTRADAY_DAYS * DAY_MS
    else:
        days = bar_days(times, calendar, length)
        bounds = intraday_bounds(times, length.minutes * MINUTE_MS, days)
    return np.minimum(bounds, following)


def earliest_next(opened: int, length: BarLength, calendar: Calendar) -> int:
    """Return the earliest possible opening of the bar after the one that opened at `opened`.

    The calendar's hours must be known.
    """
    days = bar_days(np.array([opened], dtype=np.int64), calendar, length)
    table = days.table
    soonest = opened + MINUTE_MS
    if length.minutes is None:
        _, until = period_starts(days.dates, length, calendar)
        return table.opening_from(int(until[0]), after_ms=soonest)
    until_end = opened + length.minutes * MINUTE_MS
    # A new bar can open after a break.
    period = int(np.searchsorted(table.period_opens, opened, "right"))
    if not days.is_inside[0] or until_end < table.period_closes[period - 1]:
        return until_end
    next_day = table.opening_from(int(days.dates[0]) + 1, after_ms=soonest)
    is_last = period == len(table.period_opens)
    return next_day if is_last else min(int(table.period_opens[period]), next_day)
