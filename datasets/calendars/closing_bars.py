"""Closing bars: the bars that close in a range of time, by the calendar."""

from __future__ import annotations

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.expected_bars import expected_bars
from datasets.calendars.zones import DAY_MS, Integers

# From the opening of a bar to its close: a month after its last holidays, a long weekend.
_LONGEST_DAYS = {"m": 2, "D": 14, "W": 21, "M": 45}
# A market whose hours are not known may be open at any time.
_ALWAYS = Calendar(hours="24x7", timezone="Etc/UTC")


def closing_bars(
    calendar: Calendar, length: BarLength, after_ms: int, through_ms: int
) -> tuple[Integers, Integers]:
    """Return openings and closes of the expected bars that close in a range, in order.

    Parameters
    ----------
    calendar
        The instrument's calendar; with unknown hours the market counts as always open.
    length
        The length of the bars.
    after_ms, through_ms
        UNIX milliseconds, UTC: a bar belongs to the range when it closes after `after_ms`, and
        not later than `through_ms`.

    Returns
    -------
    tuple
        Openings and closes in UNIX milliseconds, two int64 arrays of shape (n,). The last bar of
        a session closes with the session.
    """
    calendar = calendar if calendar.is_known else _ALWAYS
    margin = _LONGEST_DAYS[length.unit] * length.count * DAY_MS
    if length.minutes is not None:
        margin = _LONGEST_DAYS["m"] * DAY_MS
    # A week ends with its last session, so that sessions after the range count too.
    start, end = after_ms - margin, through_ms + margin
    expected = expected_bars(calendar, length, start, end)
    opens, closes = expected.opens, expected.ends
    if length.minutes is not None and len(opens):
        table = calendar.sessions(start - 8 * DAY_MS, end)
        row = np.searchsorted(table.opens, opens, "right") - 1
        closes = np.minimum(closes, table.closes[row])
    is_inside = (closes > after_ms) & (closes <= through_ms)
    return opens[is_inside], closes[is_inside]
