"""Gap report: which bars of a series are missing, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.expected_bars import expected_bars, held_bars
from datasets.calendars.gap_findings import GapReport, Range
from datasets.calendars.holes import find_holes
from datasets.calendars.learned_trade import learn_trade
from datasets.calendars.missing_sessions import missing_sessions
from datasets.calendars.opinions import Opinion
from datasets.calendars.zones import DAY_MS, Integers


def find_gaps(
    times: Integers,
    calendar: Calendar,
    length: BarLength,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    opinion: Opinion | None = None,
    looked_at: Sequence[Range] = (),
    seams: Sequence[Range] = (),
) -> GapReport:
    """Compare bars with the bars that the calendar expects.

    Parameters
    ----------
    times
        Openings of the bars that are held, UNIX milliseconds, strictly increasing, shape (n,).
    calendar
        The instrument's calendar.
    length
        The length of the bars.
    start_ms, end_ms
        The range of the report; by default from the first bar to the last one.
    opinion
        Sessions of a second calendar, for equities.
    looked_at
        Ranges that an earlier fetch left empty as well.
    seams
        Ranges between two fetches whose windows did not overlap.

    Returns
    -------
    GapReport
        The findings in order of time.
    """
    if not calendar.is_known or not len(times):
        return GapReport(why_unknown=calendar.why_unknown, held=len(times), expected=len(times))
    start = int(times[0]) if start_ms is None else start_ms
    end = int(times[-1]) + 1 if end_ms is None else end_ms
    # A daily bar can be stamped before the beginning of its session.
    margin = 0 if length.minutes else DAY_MS
    expected = expected_bars(calendar, length, start, end + margin)
    held, outside = held_bars(times, expected, calendar, length)
    if margin and end_ms is None:
        last = int(np.flatnonzero(held)[-1]) + 1 if held.any() else 0
        expected, held = expected.part(0, last), held[:last]
    learned = learn_trade(expected, held, length)
    findings = [
        *missing_sessions(expected, learned, calendar, opinion),
        *find_holes(expected, learned, calendar, opinion),
    ]
    findings = [one.checked_against(looked_at, seams) for one in findings]
    findings.sort(key=lambda finding: finding.start)
    missing = sum(finding.n_bars for finding in findings)
    n_held = int(np.count_nonzero(held))
    return GapReport(
        expected=n_held + missing,
        held=n_held,
        missing=missing,
        quiet=len(expected) - n_held - missing - learned.n_breaks,
        breaks=learned.n_breaks,
        outside=outside,
        second_opinion=opinion.name if opinion else "",
        findings=tuple(findings),
    )
