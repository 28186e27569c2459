"""Table of trading sessions: one row for each trading date, all instants in UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from datasets.calendars.session_strings import (
    BEGINNING,
    Corrections,
    DayHours,
    SessionHours,
)
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Booleans, Integers, from_wall

_LAST = 10**6


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """The sessions of a range of trading dates, in order.

    `dates` are trading dates in days since 1970-01-01; `opens`, `closes` and `anchors` are
    UNIX milliseconds; shape (n,), int64. `anchors` are the instants from which intraday bars
    are counted. `end_dates` are the dates on the exchange's clock on which the sessions end,
    `open_minutes` the minutes from midnight of the trading date to the opening, negative for a
    session that begins before its date. A session's
    periods of trade are the rows of `period_opens` and `period_closes` at which `period_rows`
    holds the session's row; shape (m,).

    `off_*` are the usual hours of dates on which the calendar has a holiday or a day off.
    """

    dates: Integers
    opens: Integers
    closes: Integers
    anchors: Integers
    end_dates: Integers
    open_minutes: Integers
    period_rows: Integers
    period_opens: Integers
    period_closes: Integers
    period_is_last: Booleans
    off_dates: Integers
    off_opens: Integers
    off_closes: Integers

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def is_overnight(self) -> Booleans:
        """Whether each session begins before its trading date."""
        overnight: Booleans = self.open_minutes < 0
        return overnight

    def rows_of(self, dates: Integers) -> Integers:
        """Return the position of each date; -1 for a date without a session."""
        places = np.minimum(np.searchsorted(self.dates, dates), len(self) - 1)
        return np.where(self.dates[places] == dates, places, -1)

    def opening_from(self, date: int, *, after_ms: int) -> int:
        """Return the opening of the first session of `date` or later, UNIX milliseconds.

        The table can end before: some calendars name single days only. Then the result is the end
        of the last session, or `after_ms` where that is later.
        """
        place = int(np.searchsorted(self.dates, date))
        if place < len(self):
            return int(self.opens[place])
        return max(int(self.closes[-1]), after_ms) if len(self) else after_ms

    def between(self, start_ms: int, end_ms: int) -> Sessions:
        """Return the sessions that open at `start_ms` or later and before `end_ms`."""
        first, last = (int(n) for n in np.searchsorted(self.opens, [start_ms, end_ms]))
        part = slice(first, last)
        periods = slice(*(int(n) for n in np.searchsorted(self.period_rows, [first, last])))
        off = slice(*(int(n) for n in np.searchsorted(self.off_opens, [start_ms, end_ms])))
        return Sessions(
            dates=self.dates[part],
            opens=self.opens[part],
            closes=self.closes[part],
            anchors=self.anchors[part],
            end_dates=self.end_dates[part],
            open_minutes=self.open_minutes[part],
            period_rows=self.period_rows[periods] - first,
            period_opens=self.period_opens[periods],
            period_closes=self.period_closes[periods],
            period_is_last=self.period_is_last[periods],
            off_dates=self.off_dates[off],
            off_opens=self.off_opens[off],
            off_closes=self.off_closes[off],
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
    usual = _usual_rules(hours, display, first_date, last_date)
    days_off = {day for day, other in corrections.days.items() if other is None}
    # A correction is valid also on a holiday.
    closed = _days((holidays - corrections.days.keys()) | days_off)
    changed = np.union1d(_days(corrections.days), closed)
    rules = [_Rule(one.hours, np.setdiff1d(one.dates, changed, True)) for one in usual]
    special: dict[DayHours, list[int]] = {}
    for day, other in corrections.days.items():
        if other is not None and first_date <= day < last_date:
            special.setdefault(other, []).append(day)
    rules += [_Rule(other, _days(days)) for other, days in special.items()]
    open_ = _Periods.of(rules, zone)
    off = _Periods.of(
        [_Rule(one.hours, np.intersect1d(one.dates, closed, True)) for one in usual], zone
    )
    first, last = open_.bounds
    off_first, off_last = off.bounds
    is_last = np.zeros(len(open_.dates), dtype=bool)
    is_last[last] = True
    return Sessions(
        dates=open_.dates[first],
        opens=open_.starts[first],
        closes=open_.ends[last],
        anchors=open_.anchors[first],
        end_dates=open_.dates[last] + (open_.minutes[last, 1] - 1) // 1440,
        open_minutes=open_.minutes[first, 0],
        period_rows=np.repeat(np.arange(len(first)), last - first + 1),
        period_opens=open_.starts,
        period_closes=open_.ends,
        period_is_last=is_last,
        off_dates=off.dates[off_first],
        off_opens=off.starts[off_first],
        off_closes=off.ends[off_last],
    )


def _days(days: Iterable[int]) -> Integers:
    return np.array(sorted(days), dtype=np.int64)


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
                day = day.with_breaks_of(shown) if until == _LAST else day
                rules.append(_Rule(day, dates[weekdays == weekday]))
    return rules


@dataclass(frozen=True, slots=True)
class _Periods:
    """Periods of trade in order: trading date, minutes as in `DayHours` with the anchor, and instants."""

    dates: Integers
    minutes: Integers
    starts: Integers
    ends: Integers
    anchors: Integers

    @classmethod
    def of(cls, rules: list[_Rule], zone: ZoneInfo) -> Self:
        """Return the periods of all days of the rules."""
        pairs = [
            (rule.dates, (start, end, rule.hours.anchor))
            for rule in rules
            for start, end in rule.hours.periods
        ]
        dates = np.concatenate([_days([]), *(dates for dates, _ in pairs)])
        minutes = np.array([minutes for _, minutes in pairs], dtype=np.int64).reshape(-1, 3)
        minutes = np.repeat(minutes, [len(dates) for dates, _ in pairs], axis=0)
        order = np.lexsort((minutes[:, 0], dates))
        dates, minutes = dates[order], minutes[order]
        wall = dates[:, None] * DAY_MS + minutes * MINUTE_MS
        starts, ends, anchors = from_wall(wall.T.ravel(), zone).reshape(3, -1)
        # A period that overlaps an earlier one is left out: searching needs an order.
        latest = np.append(starts[:1], np.maximum.accumulate(ends))[: len(starts)]
        kept = (starts >= latest) & (ends > starts)
        return cls(dates[kept], minutes[kept], starts[kept], ends[kept], anchors[kept])

    @property
    def bounds(self) -> tuple[Integers, Integers]:
        """The positions of each date's first and last period."""
        first = np.flatnonzero(np.diff(self.dates, prepend=BEGINNING - 1))
        last = np.append(first, len(self.dates))[1:] - 1
        return first, last
