"""Whole sessions without a bar, and the opinion of each calendar on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from datasets.calendars.calendar import Calendar
from datasets.calendars.expected_bars import ExpectedBars
from datasets.calendars.gap_findings import Finding, Kind, to_instant, to_ms
from datasets.calendars.learned_trade import LearnedTrade, is_skipped_often
from datasets.calendars.opinions import Opinion


def missing_sessions(
    expected: ExpectedBars,
    learned: LearnedTrade,
    calendar: Calendar,
    opinion: Opinion | None,
) -> Iterator[Finding]:
    """Yield the runs of whole sessions without a bar, each run with one reason."""
    missing = learned.missing_sessions
    chosen = missing[~is_skipped_often(missing, len(expected.dates))]
    run: Finding | None = None
    for session in chosen.tolist():
        first, last = np.searchsorted(expected.sessions, [session, session + 1])
        judged = _opinions_on(int(expected.dates[session]), calendar, opinion)
        if judged is None:
            continue
        kind, reason = judged
        found = Finding(
            kind,
            to_instant(expected.opens[first]),
            to_instant(expected.ends[last - 1]),
            int(last - first),
            1,
            reason,
        )
        follows = (
            run is not None and expected.opens[first - 1] < to_ms(run.end) <= expected.opens[first]
        )
        if run is not None and follows and (run.kind, run.reason) == (kind, reason):
            run = replace(
                run, end=found.end, n_bars=run.n_bars + found.n_bars, n_sessions=run.n_sessions + 1
            )
            continue
        if run is not None:
            yield run
        run = found
    if run is not None:
        yield run


def _opinions_on(date: int, calendar: Calendar, opinion: Opinion | None) -> tuple[Kind, str] | None:
    """Return the kind of a session without a bar, and the opinion of each calendar.

    Returns None where the feed's list of holidays does not reach to the date and the second
    calendar has no session.
    """
    if calendar.is_round_the_clock:
        return Kind.SESSION_MISSING, "The market is always open."
    is_known = bool(calendar.knows_holidays(np.array([date]))[0])
    feed = "The feed's calendar has a session"
    if not is_known:
        feed = (
            "The feed's hours have a session, and its list of holidays does not reach to this date"
        )
    if not calendar.has_all_corrections:
        feed += " (a part of its corrections cannot be read)"
    if opinion is None:
        return Kind.UNSURE, f"{feed}; there is no second opinion."
    library = f"exchange_calendars ({opinion.name})"
    if not opinion.first_date <= date <= opinion.last_date:
        return Kind.UNSURE, f"{feed}; {library} does not reach to this date."
    if opinion.session_of(date) is not None:
        return Kind.SESSION_MISSING, f"{feed}; {library} has one as well."
    return (Kind.UNSURE, f"{feed}; {library} has none.") if is_known else None
