"""Expected bars: the bars that a series has if each of its intervals had trade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.sessions import Sessions
from datasets.calendars.trading_dates import bar_days, last_before, period_starts
from datasets.calendars.zones import DAY_MS, MINUTE_MS, Booleans, Integers, parse_zone, to_wall


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
