"""Distances between the rows of a series, and whether the calendar explains them."""

from __future__ import annotations

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.close_times import Clock
from datasets.calendars.trading_dates import bar_days, last_before
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Booleans, Integers

# Longest distance of two neighbouring bars without a weekend or a holiday between them.
_LONGEST_GAP_MS = {
    "m": MINUTE_MS, "D": 25 * 60 * MINUTE_MS, "W": 11 * DAY_MS, "M": 38 * DAY_MS
}  # fmt: skip
_DAY = BarLength(1, "D")


def is_spread_out(times: Integers, clock: Clock, *, n_gaps: int = 2) -> bool:
    """Return whether the rows are too far apart to be consecutive bars of this timeframe.

    True when no two rows are neighbours, and at least `n_gaps` gaps are not explained by the
    calendar; a single such gap can be a holiday.
    """
    length = BarLength.parse(clock.timeframe)
    gaps = np.diff(times)
    longest = _LONGEST_GAP_MS[length.unit] * length.count
    if len(gaps) < n_gaps or (gaps <= longest).any():
        return False
    return int(np.count_nonzero(~are_gaps_explained(times, length, clock.calendar))) >= n_gaps


def are_gaps_explained(times: Integers, length: BarLength, calendar: Calendar) -> Booleans:
    """Return for each row but the last whether the calendar explains the gap after the row."""
    if length == _DAY and not calendar.is_known:
        dates = times // DAY_MS
        n_skipped = np.busday_count((dates[:-1] + 1).view("M8[D]"), dates[1:].view("M8[D]"))
        return np.asarray(n_skipped == 0)
    if not calendar.is_known or (length.minutes is None and length != _DAY):
        return np.zeros(len(times) - 1, dtype=bool)
    days = bar_days(times, calendar, length)
    if length.minutes is None:
        places = np.searchsorted(days.table.dates, days.dates)
        return np.asarray(np.diff(places) <= 1)
    period = np.maximum(last_before(days.table.period_opens, times), 0)
    ends = times + length.minutes * MINUTE_MS >= days.table.period_closes[period]
    return np.asarray((ends & days.is_inside)[:-1])
