"""Windows: the longer bars to which short bars belong, by the exchange's trading days."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from datasets.bars import BarLength
from datasets.calendars import (
    MINUTE_MS,
    Hours,
    day_ends,
    day_starts,
    trading_dates,
    trading_days,
)

Integers = npt.NDArray[np.int64]

# Days and weeks are counted from a Monday, so that the result does not depend on the first bar.
_MONDAY = np.datetime64("1969-12-29", "D")


@dataclass(frozen=True, slots=True)
class Windows:
    """The longer bars that hold short bars, in order; instants in ms, rows of short bars.

    `begin` is the row of the first short bar in each longer bar. `starts` is the opening of the
    first short bar of a complete longer bar. `opens` is the opening of the longer bar: in a week
    that begins with a holiday, `opens` is later than `starts`. No two windows have the same end.
    """

    begin: Integers
    starts: Integers
    ends: Integers
    opens: Integers


@dataclass(frozen=True, slots=True)
class Days:
    """The trading days that hold short bars, in order: number, and row of the first short bar."""

    numbers: Integers
    begin: Integers

    @classmethod
    def of(cls, times: Integers, hours: Hours, zone: ZoneInfo) -> Days:
        """Return the trading days of bars that open at `times`, in ms and increasing."""
        if not len(times):
            return cls(times, times)
        # Each day's first row is searched for: a conversion of every bar's time is ten times slower.
        first, last = trading_days(times[[0, -1]], hours, zone)
        numbers = np.arange(first, last + 1)
        begin = np.searchsorted(times, day_starts(numbers, hours, zone))
        begin[0] = 0
        is_filled = np.diff(begin, append=len(times)) > 0
        return cls(numbers[is_filled], begin[is_filled])

    def per_bar(self, values: Integers, n_bars: int) -> Integers:
        """Return the value of its day for each bar."""
        return np.repeat(values, np.diff(self.begin, append=n_bars))


def is_in_day(times: Integers, hours: Hours, zone: ZoneInfo) -> npt.NDArray[np.bool_]:
    """Return which bars open before the end of their trading day."""
    days = Days.of(times, hours, zone)
    inside: npt.NDArray[np.bool_] = times < days.per_bar(
        day_ends(days.numbers, hours, zone), len(times)
    )
    return inside


def find_windows(times: Integers, length: BarLength, hours: Hours, zone: ZoneInfo) -> Windows:
    """Return the longer bars of short bars that open at `times`, in ms and increasing."""
    days = Days.of(times, hours, zone)
    if length.minutes is not None:
        return _windows_in_days(times, days, length.minutes * MINUTE_MS, hours, zone)
    lead = int(hours.is_overnight)
    opens, dates = day_starts(days.numbers, hours, zone), trading_dates(days.numbers, hours)
    first, last = _date_ranges(dates, length, has_weekend=hours.has_weekend)
    rows = np.flatnonzero(np.diff(last, prepend=last[:1] - 1))
    opens, dates, first, last = opens[rows], dates[rows], first[rows], last[rows]
    starts = day_starts(first - lead, hours, zone)
    if length.unit == "D":
        # A day that begins several days before its date, such as on the evening before a weekend.
        starts = np.where(first == dates, opens, starts)
        ends = day_ends(last - lead, hours, zone)
    else:
        ends = day_starts(last + 1 - lead, hours, zone)
    return Windows(days.begin[rows], starts, ends, opens)


def _windows_in_days(
    times: Integers, days: Days, length_ms: int, hours: Hours, zone: ZoneInfo
) -> Windows:
    """Return the windows of minutes and hours; the last one of a day ends with the day."""
    day_end = days.per_bar(day_ends(days.numbers, hours, zone), len(times))
    opened = days.per_bar(day_starts(days.numbers, hours, zone), len(times))
    # Trade after the day's end has windows of its own.
    after = times >= day_end
    origin = np.where(after, day_end, opened)
    starts = times - (times - origin) % length_ms
    rows = np.flatnonzero(np.diff(starts, prepend=starts[:1] - 1))
    starts, after, day_end = starts[rows], after[rows], day_end[rows]
    ends = np.where(after, starts + length_ms, np.minimum(starts + length_ms, day_end))
    return Windows(rows, starts, ends, starts)


def _date_ranges(
    dates: Integers, length: BarLength, *, has_weekend: bool
) -> tuple[Integers, Integers]:
    """Return the first and the last date of the longer bar of each trading date."""
    count = length.count
    if length.unit == "M":
        months = dates.view("M8[D]").astype("M8[M]").view(np.int64)
        first = months // count * count
        begin, after = (
            month.view("M8[M]").astype("M8[D]").view(np.int64) for month in (first, first + count)
        )
        return begin, after - 1
    if length.unit == "W" or has_weekend:
        n_days = count * 7 if length.unit == "W" else count
        first = dates - (dates - _MONDAY.view(np.int64)) % n_days
        return first, first + n_days - 1
    if count == 1:
        return dates, dates
    # Only weekdays count, also those that are holidays.
    number = np.busday_count(_MONDAY, dates.view("M8[D]")) // count * count
    ends = (np.busday_offset(_MONDAY, n, roll="forward") for n in (number, number + count - 1))
    begin, end = (day.view(np.int64) for day in ends)
    return begin, end
