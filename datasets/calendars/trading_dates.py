"""Trading dates of bars: the date that an exchange counts a bar to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.sessions import Sessions
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Booleans, Integers, parse_zone, to_wall

# 1969-12-29, a Monday.
_MONDAY = -3


@dataclass(frozen=True, slots=True)
class BarDays:
    """The trading day of each bar; all arrays have one entry for each bar, shape (n,).

    `dates` are days since 1970-01-01. `rows` are the positions of the dates in `table`, -1 for
    a date on which the calendar has no session. `is_inside` says whether the bar opens between
    the beginning and the end of its session.
    """

    table: Sessions
    dates: Integers
    rows: Integers
    is_inside: Booleans

    @property
    def is_overnight(self) -> Booleans:
        """Whether each bar's session begins on an earlier date; false where there is no session."""
        if not len(self.table):
            return np.zeros(len(self.dates), dtype=bool)
        overnight: Booleans = self.table.is_overnight[self.rows] & (self.rows >= 0)
        return overnight

    def is_late(self, times: Integers) -> Booleans:
        """Return for each bar, opened at `times`, whether it opens after the stated end of its session."""
        late: Booleans = (
            ~self.is_inside & (self.rows >= 0) & (times >= self.table.closes[self.rows])
        )
        return late


def bar_days(times: Integers, calendar: Calendar, length: BarLength) -> BarDays:
    """Return the trading day of each bar.

    A bar that opens within a session belongs to its date. Of the other bars, a bar of minutes
    or hours that reaches into the next session belongs to that session. Where sessions begin
    on the evening before, a longer bar, and a shorter one that opens after the last session's
    date, belong to the next session; any other bar belongs to its date on the exchange's clock.

    Parameters
    ----------
    times
        Openings, UNIX milliseconds, in order, shape (n,).
    calendar
        A calendar. Where its hours are not known, the dates are those of its clock, or of UTC.
    length
        The length of the bars.
    """
    table = calendar.table(times)
    zone = parse_zone(calendar.timezone)
    if not len(table) or zone is None:
        nowhere = np.full(len(times), -1, dtype=np.int64)
        dates = (times if zone is None else to_wall(times, zone)) // DAY_MS
        return BarDays(table, dates, nowhere, np.zeros(len(times), dtype=bool))
    rows = last_before(table.opens, times)
    is_inside = (rows >= 0) & (times < table.closes[rows])
    dates = table.dates[rows]
    outside = np.flatnonzero(~is_inside)
    if len(outside):
        moments, before = times[outside], rows[outside]
        wall = to_wall(moments, zone)
        length_ms = (length.minutes or 0) * MINUTE_MS
        dates[outside] = _dates_outside(moments, before, wall, table, length_ms)
        rows[outside] = table.rows_of(dates[outside])
    return BarDays(table, dates, rows, is_inside)


def _dates_outside(
    moments: Integers, before: Integers, wall: Integers, table: Sessions, length_ms: int
) -> Integers:
    """Return the dates of bars that open in no session; `length_ms` is 0 for days and longer bars."""
    following = np.minimum(before + 1, len(table) - 1)
    is_next = moments + length_ms > table.opens[following]
    overnight = table.is_overnight[following]
    local, clock = wall // DAY_MS, wall % DAY_MS
    # A session ended on this date, and no evening session begins before the bar: the bar is late
    # trade of that session. In Shanghai, Friday's evening session belongs to Monday.
    evening = table.open_minutes[following] % 1440 * MINUTE_MS
    is_late = (before >= 0) & (table.end_dates[before] == local) & (length_ms > 0)
    is_late &= ~overnight | (clock < evening)
    is_next |= overnight & ~is_late
    dates = np.where(is_late, table.dates[before], local)
    dates = np.where(is_next, table.dates[following], dates)
    # Trade in the usual hours of a holiday makes the holiday a trading day.
    off = np.searchsorted(table.off_opens, moments, "right") - 1
    if len(table.off_dates):
        in_off = (off >= 0) & (moments < table.off_closes[off])
        dates = np.where(in_off, table.off_dates[off], dates)
    return dates


def last_before(instants: Integers, times: Integers) -> Integers:
    """Return for each time the position of the last instant that is not after it; -1 for none.

    Both are in order. The shorter array is searched for in the longer one.
    """
    if len(times) < len(instants):
        return np.searchsorted(instants, times, "right") - 1
    edges = np.searchsorted(times, instants, "left")
    counts = np.diff(edges, prepend=0, append=len(times))
    return np.repeat(np.arange(-1, len(instants)), counts)


def period_starts(
    dates: Integers, length: BarLength, calendar: Calendar
) -> tuple[Integers, Integers]:
    """Return for each trading date the first date of its longer bar, and of the bar after it.

    Several days or weeks are counted from one week for every series, so that the result does
    not depend on the first bar.
    """
    count = length.count
    if length.unit == "M":
        months = dates.view("M8[D]").astype("M8[M]").view(np.int64) // count * count
        first, until = (
            month.view("M8[M]").astype("M8[D]").view(np.int64) for month in (months, months + count)
        )
        return first, until
    if length.unit == "W" or calendar.has_weekend:
        n_days = count * 7 if length.unit == "W" else count
        begin = _MONDAY + calendar.first_weekday
        if length.unit == "D":
            begin = _MONDAY
        first = dates - (dates - begin) % n_days
        return first, first + n_days
    if count == 1:
        return dates, dates + 1
    # Only weekdays count, also those that are holidays.
    monday = np.datetime64(_MONDAY, "D")
    number = np.busday_count(monday, dates.view("M8[D]")) // count * count
    first, until = (
        np.busday_offset(monday, n, roll="forward").view(np.int64) for n in (number, number + count)
    )
    return first, until
