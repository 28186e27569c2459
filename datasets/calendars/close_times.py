"""Close times: for each bar an instant that is never before its true close.

Each rule gives an upper bound of the close, and the earliest valid bound is the result. The
opening of the instrument's next bar is always a bound. The other bounds depend on the bar's
length and on the calendar. docs/research/no-look-ahead.md describes the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.trading_dates import BarDays, bar_days, last_before, period_starts
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Integers, from_wall, parse_zone, to_wall

NEVER = int(np.iinfo(np.int64).max)

# Longest day, week and month, counted from its first trading day.
_LONGEST_DAYS = {"D": 1, "W": 7, "M": 31}
# A trading day that begins in an evening can begin before several holidays: in Osaka the
# trading day of 2019-05-07 began on 2019-04-26, eleven days before its end.
_LONGEST_LEAD_DAYS = 13
_DAY = BarLength(1, "D")
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
        bounds = _calendar_bounds(times, length, calendar, following)
    elif not calendar.is_known:
        bounds = times + _LONGEST_INTRADAY_DAYS * DAY_MS
    else:
        days = bar_days(times, calendar, length)
        bounds = _intraday_bounds(times, length.minutes * MINUTE_MS, days)
    return np.minimum(bounds, following)


def _days_later(times: Integers, zone: ZoneInfo | None, days: int | Integers) -> Integers:
    """Return the same wall-clock times `days` days later."""
    if zone is None:
        # In an unknown zone summer time may end in between, which adds an hour.
        return times + days * DAY_MS + 60 * MINUTE_MS
    return from_wall(to_wall(times, zone) + days * DAY_MS, zone)


def _calendar_bounds(
    times: Integers, length: BarLength, calendar: Calendar, following: Integers
) -> Integers:
    """Return the bounds for days, weeks and months: the close of their last session, where it is sure."""
    zone, longest = parse_zone(calendar.timezone), _LONGEST_DAYS[length.unit] * length.count
    if length.unit == "D" and length.count > 1:
        # A weekend can follow each of the days.
        longest *= 3
    if not calendar.is_known:
        return _days_later(times, zone, longest + _LONGEST_LEAD_DAYS)
    days = bar_days(times, calendar, length)
    table, is_overnight = days.table, days.is_overnight
    _, until = period_starts(days.dates, length, calendar)
    last = np.maximum(np.searchsorted(table.dates, until) - 1, 0)
    # Over a holiday one overnight bar can hold two trading days, so its end is sure only where
    # the holidays are known and the next bar opens when the calendar expects it.
    is_known = calendar.knows_holidays(days.dates) & calendar.knows_holidays(table.dates[last])
    expected = table.opens[np.minimum(last + 1, len(table) - 1)]
    is_known &= (following <= expected) | (following == NEVER)
    is_sure = days.is_inside & (~is_overnight | is_known)
    has_lead = is_overnight | (length == _DAY)
    limits = _days_later(times, zone, longest + has_lead * np.int64(_LONGEST_LEAD_DAYS))
    return np.where(is_sure, table.closes[last], limits)


def _intraday_bounds(times: Integers, length: int, days: BarDays) -> Integers:
    """Return the bounds for intraday bars of `length` ms."""
    table, rows, nominal = days.table, days.rows, times + length
    period = np.maximum(last_before(table.period_opens, times), 0)
    day_ends, is_last = table.closes[rows], table.period_is_last[period]
    # Trade after the stated end shows that the day's bars do not end there. Where sessions
    # follow one another without a pause, a bar may reach over the end.
    is_late = np.isin(rows, np.unique(rows[days.is_late(times)]))
    touches = day_ends >= table.opens[np.minimum(rows + 1, len(table) - 1)]
    is_cut = days.is_inside & is_last & ~is_late & ~touches
    bounds = np.where(is_cut, np.minimum(nominal, day_ends), nominal)
    # A bar that reaches a break can continue after it; only the end of the day is certain.
    runs_on = days.is_inside & ~is_last & (nominal > table.period_closes[period])
    return np.where(runs_on, np.maximum(nominal, day_ends), bounds)


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
