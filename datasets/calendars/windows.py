"""Windows: the longer bars that shorter bars add up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.close_times import earliest_next
from datasets.calendars.trading_dates import BarDays, bar_days, last_before, period_starts
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Integers

_NEVER = np.iinfo(np.int64).max
# Trade after the stated end in these days means that the last day's may go on as well.
_LAST_DAYS_MS = 10 * DAY_MS


@dataclass(frozen=True, slots=True)
class Windows:
    """The longer bars of some shorter bars, in order; instants in UNIX ms, shape (k,).

    `begin` are the positions of each longer bar's first shorter bar, `opens` the longer bars'
    openings, and `ends` their ends by the calendar. `is_first_whole` says whether the shorter
    bars begin with the first longer bar. `last_sure_ms` is the instant at which no shorter bar
    of the last longer bar can follow any more, and `next_ms` the earliest at which another
    shorter bar can open; both allow for trade after the stated end where the last days have
    such trade. `n_outside` counts the bars that open outside the stated hours.
    """

    begin: Integers
    opens: Integers
    ends: Integers
    is_first_whole: bool
    last_sure_ms: int
    next_ms: int
    n_outside: int


def find_windows(
    times: Integers, base: BarLength, target: BarLength, calendar: Calendar
) -> Windows:
    """Return the longer bars of `target` for the openings of shorter bars of `base`.

    Within a trading day they lie on one grid, which begins with the session and does not begin
    again after a break. `times` are UNIX milliseconds, strictly increasing; the calendar's
    hours must be known.
    """
    if not len(times):
        return Windows(times, times, times, False, 0, 0, 0)
    days = bar_days(times, calendar, base)
    last = int(times[-1])
    next_ms, is_late = earliest_next(last, base, calendar), False
    last_days = slice(int(np.searchsorted(times, last - _LAST_DAYS_MS)), None)
    if base.minutes is not None and days.is_late(times)[last_days].any():
        next_ms, is_late = min(next_ms, last + base.minutes * MINUTE_MS), True
    if target.minutes is not None:
        return _intraday_windows(times, base, target.minutes * MINUTE_MS, days, next_ms)
    return _calendar_windows(times, base, target, days, calendar, next_ms, is_late=is_late)


def _day_openings(times: Integers, first: Integers, base: BarLength, days: BarDays) -> Integers:
    """Return the opening of each trading day; `first` are the positions of the days' first bars.

    A day of trade only outside the stated hours opens with its first bar.
    """
    if base.minutes is None:
        return times[first]
    begins, rows = times[first], days.rows[first]
    opens = days.table.opens[rows]
    # An evening session can be earlier than on the evening before: on Friday for Monday.
    n_days = (opens - begins + DAY_MS - 1) // DAY_MS
    is_earlier = days.table.is_overnight[rows] & (begins + base.minutes * MINUTE_MS <= opens)
    opens = np.where(is_earlier, opens - n_days * DAY_MS, opens)
    reaches = begins + base.minutes * MINUTE_MS > opens
    has_trade = np.logical_or.reduceat(days.is_inside, first) | (reaches & (begins <= opens))
    return np.where((has_trade | is_earlier) & (rows >= 0), opens, begins)


def _intraday_windows(
    times: Integers, base: BarLength, length: int, days: BarDays, next_ms: int
) -> Windows:
    """Return windows of `length` ms."""
    table = days.table
    first = _changes(days.dates)
    sizes = np.diff(np.append(first, len(times)))
    day_opens, rows = _day_openings(times, first, base, days), days.rows[first]
    is_usual = (rows >= 0) & (day_opens == table.opens[rows])
    anchors = np.repeat(np.where(is_usual, table.anchors[rows], day_opens), sizes)
    opened = np.repeat(day_opens, sizes)
    position = np.maximum(times, opened)
    starts = anchors + (position - anchors) // length * length
    begin = _changes(starts)
    last = np.append(begin[1:], len(times)) - 1
    # The last window of a day ends with the day, unless trade goes on after the stated end.
    ends = starts[begin] + length
    closes = np.repeat(np.where(rows >= 0, table.closes[rows], _NEVER), sizes)[begin]
    ends = np.where(times[last] >= closes, ends, np.minimum(ends, closes))
    opens = np.maximum(starts, opened)[begin]
    # A window that begins in a break opens with the next period of trade.
    period = np.maximum(last_before(table.period_opens, opens), 0)
    following = table.period_opens[np.minimum(period + 1, len(table.period_opens) - 1)]
    in_break = (opens >= table.period_closes[period]) & (following <= position[begin])
    opens = np.where(in_break, following, opens)
    n_outside = int(np.count_nonzero(~days.is_inside))
    is_whole, sure = bool(times[0] <= opens[0]), int(ends[-1])
    return Windows(begin, opens, ends, is_whole, sure, next_ms, n_outside)


def _calendar_windows(
    times: Integers,
    base: BarLength,
    target: BarLength,
    days: BarDays,
    calendar: Calendar,
    next_ms: int,
    *,
    is_late: bool,
) -> Windows:
    """Return windows of trading days, weeks or months."""
    table = days.table
    day_first = _changes(days.dates)
    dates = days.dates[day_first]
    period, until = period_starts(dates, target, calendar)
    chosen = _changes(period)
    period, until = period[chosen], until[chosen]
    first_row = np.searchsorted(table.dates, period)
    last_row = np.searchsorted(table.dates, until) - 1
    has_session = last_row >= first_row
    # Without a session by the calendar, the end is the close of the last bar.
    ends = np.where(has_session, table.closes[last_row], 0)
    opens = _day_openings(times, day_first, base, days)
    is_whole = first_row[0] == len(table) or dates[0] <= table.dates[first_row[0]]
    if base.minutes is not None:
        # For longer bars the date decides: their stamps can be before the session's beginning.
        is_whole &= times[0] <= opens[0]
    last_sure = int(ends[-1])
    if is_late or (base.minutes is not None and not has_session[-1]):
        last_sure = table.opening_from(int(until[-1]), after_ms=int(times[-1]) + 1)
    return Windows(
        begin=day_first[chosen],
        opens=opens[chosen],
        ends=ends,
        is_first_whole=bool(has_session[0] and is_whole),
        last_sure_ms=last_sure,
        next_ms=next_ms,
        n_outside=int(np.count_nonzero(~days.is_inside)),
    )


def _changes(values: Integers) -> Integers:
    """Return the positions at which a value differs from the value before it; 0 among them."""
    return np.append(0, np.flatnonzero(np.diff(values)) + 1)
