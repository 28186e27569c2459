"""Table of trading sessions: one row for each trading date, all instants in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from datasets.calendars.session_strings import (
    BEGINNING,
    Corrections,
    DayHours,
    SessionHours,
)
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Integers, from_wall

_LAST = 10**6


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """The sessions of a range of trading dates, in order.

    `dates` are trading dates in days since 1970-01-01; `opens`, `closes` and `anchors` are
    UNIX milliseconds; shape (n,), int64. `anchors` are the instants from which intraday bars
    are counted. A session's periods of trade are the rows of `period_opens` and
    `period_closes` at which `period_rows` holds the session's row; shape (m,).

    `off_*` are the usual hours of dates on which the calendar has a holiday or a day off.
    """

    dates: Integers
    opens: Integers
    closes: Integers
    anchors: Integers
    period_rows: Integers
    period_opens: Integers
    period_closes: Integers
    off_dates: Integers
    off_opens: Integers
    off_closes: Integers

    def __len__(self) -> int:
        return len(self.dates)

    def between(self, start_ms: int, end_ms: int) -> Sessions:
        """Return the sessions that open at `start_ms` or later and before `end_ms`."""
        first, last = (int(n) for n in np.searchsorted(self.opens, [start_ms, end_ms]))
        part = slice(first, last)
        periods = slice(*(int(n) for n in np.searchsorted(self.period_rows, [first, last])))
        return Sessions(
            self.dates[part],
            self.opens[part],
            self.closes[part],
            self.anchors[part],
            self.period_rows[periods] - first,
            self.period_opens[periods],
            self.period_closes[periods],
            self.off_dates,
            self.off_opens,
            self.off_closes,
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """One day's hours, and the trading dates that have them."""

    hours: DayHours
    dates: Integers


def build_sessions(
    hours: SessionHours,
    zone: ZoneInfo,
    *,
    display: SessionHours | None,
    holidays: frozenset[int],
    corrections: Corrections,
    first_date: int,
    last_date: int,
) -> Sessions:
    """Build the table of the trading dates from `first_date` up to `last_date`."""
    usual = list(_usual_rules(hours, display, first_date, last_date))
    corrected = np.array(sorted(corrections.days), dtype=np.int64)
    days_off = {day for day, other in corrections.days.items() if other is None}
    closed = np.array(sorted((holidays - corrections.days.keys()) | days_off), dtype=np.int64)
    # A correction is valid also on a holiday.
    changed = np.union1d(corrected, closed)
    rules = [_Rule(one.hours, np.setdiff1d(one.dates, changed, True)) for one in usual]
    special: dict[DayHours, list[int]] = {}
    for day, other in corrections.days.items():
        if other is not None and first_date <= day < last_date:
            special.setdefault(other, []).append(day)
    rules += [_Rule(other, np.array(days, dtype=np.int64)) for other, days in special.items()]
    off = [_Rule(one.hours, np.intersect1d(one.dates, closed, True)) for one in usual]
    dates, starts, ends, anchors = _periods(rules, zone)
    off_dates, off_starts, off_ends, _ = _periods(off, zone)
    first = np.flatnonzero(np.diff(dates, prepend=BEGINNING - 1))
    last = np.append(first[1:], len(dates)) - 1 if len(first) else first
    off_first = np.flatnonzero(np.diff(off_dates, prepend=BEGINNING - 1))
    off_last = np.append(off_first[1:], len(off_dates)) - 1 if len(off_first) else off_first
    return Sessions(
        dates=dates[first],
        opens=starts[first],
        closes=ends[last],
        anchors=anchors[first],
        period_rows=np.repeat(np.arange(len(first)), last - first + 1),
        period_opens=starts,
        period_closes=ends,
        off_dates=off_dates[off_first],
        off_opens=off_starts[off_first],
        off_closes=off_ends[off_last],
    )


def _usual_rules(
    hours: SessionHours, display: SessionHours | None, first_date: int, last_date: int
) -> list[_Rule]:
    """Return the weekly hours of each era, with the breaks that only the displayed session names."""
    rules = []
    begins = [begin for begin, _ in hours.eras]
    for (begin, week), until in zip(hours.eras, [*begins[1:], _LAST], strict=True):
        dates = np.arange(max(begin, first_date), min(until, last_date), dtype=np.int64)
        weekdays = (dates + 3) % 7
        for weekday, day in enumerate(week.days):
            if day is not None:
                shown = display.eras[-1][1].days[weekday] if display else None
                day = _with_breaks(day, shown) if until == _LAST else day
                rules.append(_Rule(day, dates[weekdays == weekday]))
    return rules


def _with_breaks(day: DayHours, shown: DayHours | None) -> DayHours:
    """Return the day's hours with the breaks of the hours that the feed shows to people.

    The end stays: trade can go on after the end that is shown.
    """
    start, end = day.periods[0][0], day.periods[-1][1]
    if shown is None or len(shown.periods) <= len(day.periods):
        return day
    if shown.periods[0][0] < start or shown.periods[-1][1] > end:
        return day
    *earlier, (last_start, _) = shown.periods
    return DayHours((*earlier, (last_start, end)), day.anchor)


def _periods(rules: list[_Rule], zone: ZoneInfo) -> tuple[Integers, Integers, Integers, Integers]:
    """Return trading date, first and last instant and anchor of each period, in order."""
    dates, minutes = [], []
    for rule in rules:
        for start, end in rule.hours.periods:
            dates.append(rule.dates)
            minutes.append((start, end, rule.hours.anchor))
    if not dates:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, empty, empty
    joined = np.concatenate(dates)
    offsets = np.repeat(np.array(minutes, dtype=np.int64), [len(one) for one in dates], axis=0)
    order = np.lexsort((offsets[:, 0], joined))
    joined, offsets = joined[order], offsets[order]
    wall = joined[:, None] * DAY_MS + offsets * MINUTE_MS
    starts, ends, anchors = from_wall(wall.T.ravel(), zone).reshape(3, -1)
    return joined, starts, ends, anchors
