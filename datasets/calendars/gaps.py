"""Gap report: which bars of a series are missing, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.expected_bars import ExpectedBars, expected_bars, held_bars
from datasets.calendars.gap_findings import Finding, GapReport, Kind
from datasets.calendars.learned_trade import LearnedTrade, is_skipped_often, learn_trade
from datasets.calendars.opinions import Opinion
from datasets.calendars.zones import DAY_MS, Integers

# A run of missing bars is a hole where chance explains it with a lower probability.
_LOG_CHANCE = float(np.log(1e-6))
# Confirmed sessions without a bar in a row that count as a suspended instrument.
_SUSPENDED_SESSIONS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# Start and end of a range, UNIX milliseconds; the end is not part of the range.
Range = tuple[int, int]


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
        *_missing_sessions(expected, learned, calendar, opinion),
        *_holes(expected, learned, calendar, opinion),
    ]
    findings = [_confirmed(one, looked_at, seams) for one in findings]
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


def _missing_sessions(
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
            _instant(expected.opens[first]),
            _instant(expected.ends[last - 1]),
            int(last - first),
            1,
            reason,
        )
        follows = (
            run is not None and expected.opens[first - 1] < _ms(run.end) <= expected.opens[first]
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


def _holes(
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
        kind, reason = Kind.HOLE, _reason_of_hole(float(log_chance[run]))
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
                f"exchange_calendars ({opinion.name}) has a session from {_instant(session[0]):%H:%M} "
                f"to {_instant(session[1]):%H:%M} UTC."
            )
        yield Finding(kind, _instant(start), _instant(end), int(last - first), 1, reason)


def _reason_of_hole(log_chance: float) -> str:
    power = max(-99, int(log_chance / np.log(10)))
    return (
        "There was trade at this time on the sessions around it; chance leaves all of these bars "
        f"out with a probability below 1e{power}."
    )


def _confirmed(finding: Finding, looked_at: Sequence[Range], seams: Sequence[Range]) -> Finding:
    """Return the finding with the kind that seams and an earlier look give it."""
    start, end = _ms(finding.start), _ms(finding.end)
    if any(first < end and start < last for first, last in seams):
        reason = (
            "The windows of two fetches did not overlap: the bars between them were never received."
        )
        return replace(finding, kind=Kind.WINDOW_SLID, reason=reason)
    if not any(first <= start and end <= last for first, last in looked_at):
        return finding
    reason = f"{finding.reason} It was fetched again and is still empty."
    if finding.kind is Kind.UNSURE:
        return replace(finding, reason=reason)
    if finding.n_sessions >= _SUSPENDED_SESSIONS:
        return replace(finding, kind=Kind.NO_TRADING, reason=reason)
    return replace(finding, kind=Kind.CONFIRMED_EMPTY, reason=reason)


def _instant(milliseconds: Any) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
