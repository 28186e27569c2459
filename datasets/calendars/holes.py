"""Holes: missing bars within a session that chance does not explain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from datasets.calendars.calendar import Calendar
from datasets.calendars.expected_bars import ExpectedBars
from datasets.calendars.gap_findings import Finding, Kind, to_instant
from datasets.calendars.learned_trade import LearnedTrade
from datasets.calendars.opinions import Opinion

# A run of missing bars is a hole where chance explains it with a lower probability.
_LOG_CHANCE = float(np.log(1e-6))


def find_holes(
    expected: ExpectedBars,
    learned: LearnedTrade,
    calendar: Calendar,
    opinion: Opinion | None,
) -> Iterator[Finding]:
    """Yield the runs of missing bars within a session that chance does not explain."""
    places = learned.missing_bars
    if not len(places):
        return
    # Intervals in learned breaks do not end a run.
    ranks = places - np.searchsorted(learned.break_bars, places)
    sessions = expected.sessions[places]
    is_new = (np.diff(ranks, prepend=-2) != 1) | (np.diff(sessions, prepend=-1) != 0)
    begin = np.flatnonzero(is_new)
    stop = np.append(begin, len(places))[1:]
    log_chance = np.add.reduceat(learned.log_chance, begin)
    for run in np.flatnonzero(log_chance < _LOG_CHANCE).tolist():
        first, last = begin[run], stop[run]
        start, end = int(expected.opens[places[first]]), int(expected.ends[places[last - 1]])
        power = max(-99, int(log_chance[run] / np.log(10)))
        kind, reason = (
            Kind.HOLE,
            "There was trade at this time on the sessions around it; chance leaves all of these bars "
            f"out with a probability below 1e{power}.",
        )
        session = None
        if opinion is not None and calendar.subsession in ("", "regular"):
            session = opinion.session_of(int(expected.dates[sessions[first]]))
        if (
            session is not None
            and opinion is not None
            and (start >= session[1] or end <= session[0])
        ):
            kind = Kind.UNSURE
            reason = (
                "The feed's calendar has trade at this time; "
                f"exchange_calendars ({opinion.name}) has a session from {to_instant(session[0]):%H:%M} "
                f"to {to_instant(session[1]):%H:%M} UTC."
            )
        yield Finding(kind, to_instant(start), to_instant(end), int(last - first), 1, reason)
