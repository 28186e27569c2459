"""Expected bars: the bars that a series has if each of its intervals had trade, listed or counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.close_times import NEVER
from datasets.calendars.sessions import Sessions
from datasets.calendars.trading_dates import bar_days, last_before, period_starts
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Booleans, Integers, parse_zone, to_wall

# A month begins at most this long before the first instant, and a session over a holiday too.
_LEAD_MS = 45 * DAY_MS
# The next bar of a month ends within this time, also after a month that has just begun.
_AHEAD_MS = 70 * DAY_MS
# Timetables begin at multiples of this number of days, so that series with other last bars share one.
_SHARED_DAYS = 32
# Stands for the length of a bar that ends with its last session.
_UNTIL_END = 1 << 50


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedBars:
    """The bars that a calendar expects, in order; arrays of shape (n,).

    `opens` and `ends` are UNIX milliseconds. `sessions` number the trading days, weeks or
    months of the bars from 0 on, and `dates` are these sessions' trading dates, shape (m,).
    `slots` are numbers that are equal for bars at the same time of the day. A run is a row of
    bars without a pause: `run_begins` are the positions of the runs' first bars, negative for a
    run that began before, and `run_origins` these bars' beginnings on the grid; shape (k,).
    """

    opens: Integers
    ends: Integers
    sessions: Integers
    slots: npt.NDArray[np.uint16]
    dates: Integers
    run_begins: Integers
    run_origins: Integers

    def __len__(self) -> int:
        return len(self.opens)

    def part(self, first: int, last: int) -> ExpectedBars:
        """Return the bars from position `first` up to `last`."""
        sessions = self.sessions[first:last]
        begin = int(sessions[0]) if len(sessions) else 0
        return ExpectedBars(
            opens=self.opens[first:last],
            ends=self.ends[first:last],
            sessions=sessions - begin,
            slots=self.slots[first:last],
            dates=self.dates[begin : int(sessions[-1]) + 1 if len(sessions) else 0],
            run_begins=self.run_begins - first,
            run_origins=self.run_origins,
        )


def expected_bars(
    calendar: Calendar, length: BarLength, start_ms: int, end_ms: int
) -> ExpectedBars:
    """Return the bars of this length that should open from `start_ms` on and before `end_ms`.

    Parameters
    ----------
    calendar
        A calendar; where its hours are not known, no bar is expected.
    length
        The length of the bars. Within a trading day they lie on one grid, see `find_windows`.
    start_ms, end_ms
        UNIX milliseconds, UTC; the start is part of the range, the end is not.
    """
    # The session of the first bar may have begun before, up to some days over a holiday.
    table = calendar.sessions(start_ms - 8 * DAY_MS, end_ms)
    if length.minutes is None:
        # One bar for each day, week or month with a session.
        dates, _ = period_starts(table.dates, length, calendar)
        begin = np.flatnonzero(np.diff(dates, prepend=dates[:1] - 1))
        end = np.append(begin, len(dates))[1:] - 1
        numbers, opens = np.arange(len(begin)), table.opens[begin]
        slots = np.zeros(len(begin), dtype=np.uint16)
        expected = ExpectedBars(
            opens, table.closes[end], numbers, slots, dates[begin], numbers, opens
        )
    else:
        expected = _intraday_bars(table, length.minutes * MINUTE_MS, calendar)
    first, last = np.searchsorted(expected.opens, [start_ms, end_ms])
    return expected.part(int(first), int(last))


def _intraday_bars(table: Sessions, length_ms: int, calendar: Calendar) -> ExpectedBars:
    """Return the bars on the grid of each session; no bar opens in a break."""
    grid = _Grid.of(table, length_ms)
    n_bars = grid.last - grid.first + 1
    n_bars = np.maximum(n_bars, 0)
    offsets = np.cumsum(n_bars) - n_bars
    opens = np.arange(int(n_bars.sum()), dtype=np.int64)
    opens += np.repeat(grid.first - offsets, n_bars)
    opens *= length_ms
    opens += np.repeat(grid.anchors, n_bars)
    ends = opens + length_ms
    # The first bar of a period opens with the period, and the last of a day ends with the day.
    has_bars = n_bars > 0
    first = offsets[has_bars]
    origins = opens[first]
    opens[first] = np.maximum(opens[first], table.period_opens[has_bars])
    zone = parse_zone(calendar.timezone)
    wall = table.anchors if zone is None else to_wall(table.anchors, zone)
    minutes = (wall // MINUTE_MS)[table.period_rows] % 1440
    slots = np.arange(len(opens), dtype=np.int32)
    slots += np.repeat((grid.first - offsets).astype(np.int32), n_bars)
    slots *= length_ms // MINUTE_MS
    slots += np.repeat(minutes.astype(np.int32), n_bars)
    slots %= 1440
    sessions = np.repeat(table.period_rows, n_bars)
    return ExpectedBars(
        opens=opens,
        ends=ends,
        sessions=sessions,
        slots=slots.astype(np.uint16),
        dates=table.dates,
        run_begins=first,
        run_origins=origins,
    )


@dataclass(frozen=True, slots=True)
class _Grid:
    """For each period of trade the grid's first and last bar that open in it, and the grid's beginning.

    Bars are numbered from the session's anchor. A bar that began in an earlier period does not
    open again.
    """

    first: Integers
    last: Integers
    anchors: Integers

    @classmethod
    def of(cls, table: Sessions, length_ms: int) -> _Grid:
        anchors = table.anchors[table.period_rows]
        first = (table.period_opens - anchors) // length_ms
        last = (table.period_closes - 1 - anchors) // length_ms
        is_same = np.append(False, np.diff(table.period_rows) == 0)[: len(first)]
        goes_on = is_same & (first == np.append(-1, last)[: len(first)])
        return cls(first + goes_on, last, anchors)


def held_bars(
    times: Integers, expected: ExpectedBars, calendar: Calendar, length: BarLength
) -> tuple[Booleans, int]:
    """Return which expected bars are among bars that open at `times`, and the number of other bars."""
    held = np.zeros(len(expected), dtype=bool)
    if not len(expected) or not len(times):
        return held, len(times)
    if length.minutes is None:
        days = bar_days(times, calendar, length)
        first, _ = period_starts(days.dates, length, calendar)
        place = np.searchsorted(expected.dates, first)
        place = np.minimum(place, len(expected) - 1)
        is_expected = expected.dates[place] == first
    else:
        # By the position in its run: searching for each bar's time takes three times as long.
        run = last_before(expected.run_origins, times)
        place = (times - expected.run_origins[run]) // (length.minutes * MINUTE_MS)
        place += expected.run_begins[run]
        is_expected = (place >= 0) & (place < len(expected)) & (run >= 0)
        place = np.where(is_expected, place, 0)
        is_expected &= (times >= expected.opens[place]) & (times < expected.ends[place])
    held[place[is_expected]] = True
    return held, int(np.count_nonzero(~is_expected))


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """The expected bars of a series, numbered from 0, as runs of bars without a pause.

    All arrays have one entry for each run, shape (k,); instants are UNIX milliseconds. `begins`
    are the beginnings of the runs' first bars, `counts` their numbers of bars, and `limits` the
    ends of the sessions: no bar closes later. `totals` are the numbers of bars up to each run's
    end. `session_ends` are the numbers of bars up to the end of each trading day, or of each
    week or month of longer bars, and `dates` are the first trading dates of these.
    """

    calendar: Calendar
    length: BarLength
    begins: Integers
    counts: Integers
    limits: Integers
    totals: Integers
    session_ends: Integers
    dates: Integers

    @classmethod
    def around(
        cls, calendar: Calendar, length: BarLength, start_ms: int, end_ms: int
    ) -> Timetable | None:
        """Return the timetable with all bars from the one at `start_ms` to the one after `end_ms`.

        Returns None where the calendar has no session there, or its hours are not known. Series
        of one market share a timetable.
        """
        first_day = start_ms // (_SHARED_DAYS * DAY_MS) * _SHARED_DAYS
        return _timetable(calendar, length, first_day, end_ms // DAY_MS)

    @property
    def _length_ms(self) -> int:
        return _UNTIL_END if self.length.minutes is None else self.length.minutes * MINUTE_MS

    def n_closed(self, at_ms: int) -> int:
        """Return the number of bars that close at `at_ms` or earlier."""
        closed = np.clip((at_ms - self.begins) // self._length_ms, 0, self.counts)
        return int(np.where(at_ms >= self.limits, self.counts, closed).sum())

    def n_opened(self, opened_ms: int) -> int:
        """Return the number of bars up to the bar that opens at `opened_ms`, itself included."""
        if self.length.minutes is None:
            # The stamp of a day can lie before its session, so the date decides.
            opened = np.array([opened_ms], dtype=np.int64)
            dates = bar_days(opened, self.calendar, self.length).dates
            first, _ = period_starts(dates, self.length, self.calendar)
            return int(np.searchsorted(self.dates, first[0], "right"))
        places = (opened_ms - self.begins) // self._length_ms + 1
        return int(np.clip(places, 0, self.counts).sum())

    def close_of(self, number: int) -> int | None:
        """Return the close of the bar with this number, UNIX ms; None outside the timetable."""
        if not 0 <= number < self.totals[-1]:
            return None
        run = int(np.searchsorted(self.totals, number, "right"))
        place = number - int(self.totals[run]) + int(self.counts[run]) + 1
        end = int(self.begins[run]) + place * self._length_ms
        return min(end, int(self.limits[run]))

    def session_end(self, number: int) -> int:
        """Return the number after the last bar of the session that holds the bar `number`."""
        return int(self.session_ends[np.searchsorted(self.session_ends, number, "right")])

    def n_in_ended_sessions(self, number: int) -> int:
        """Return the number of bars in those sessions whose bars are all before the bar `number`."""
        place = int(np.searchsorted(self.session_ends, number, "right"))
        return int(self.session_ends[place - 1]) if place else 0


@lru_cache(maxsize=256)
def _timetable(
    calendar: Calendar, length: BarLength, first_day: int, last_day: int
) -> Timetable | None:
    table = calendar.sessions(first_day * DAY_MS - _LEAD_MS, last_day * DAY_MS + _AHEAD_MS)
    if not len(table):
        return None
    if length.minutes is None:
        # Each day, week or month is a run of one bar.
        dates, _ = period_starts(table.dates, length, calendar)
        begin = np.flatnonzero(np.diff(dates, prepend=dates[:1] - 1))
        end = np.append(begin, len(dates))[1:] - 1
        begins, limits, dates = table.opens[begin], table.closes[end], dates[begin]
        sessions, counts = np.arange(len(begin)), np.ones(len(begin), dtype=np.int64)
    else:
        length_ms = length.minutes * MINUTE_MS
        grid = _Grid.of(table, length_ms)
        has_bars = grid.last >= grid.first
        first, sessions = grid.first[has_bars], table.period_rows[has_bars]
        begins, counts = grid.anchors[has_bars] + first * length_ms, grid.last[has_bars] - first + 1
        # A bar that reaches a break closes on the grid, at the latest after the break.
        limits = np.where(table.period_is_last[has_bars], table.closes[sessions], NEVER)
        dates = table.dates
    totals = np.cumsum(counts)
    session_ends = totals[np.append(np.diff(sessions) > 0, True)]
    return Timetable(calendar, length, begins, counts, limits, totals, session_ends, dates)
