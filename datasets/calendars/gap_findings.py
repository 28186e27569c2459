"""Findings of a gap report: the kinds of missing bars, their counts and their plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

# Findings that a report lists; the counts are of all.
_MOST_FINDINGS = 200
# Confirmed sessions without a bar in a row that count as a suspended instrument.
_SUSPENDED_SESSIONS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Start and end of a range, UNIX milliseconds; the end is not part of the range.
Range = tuple[int, int]


class Kind(StrEnum):
    """The kind of a finding."""

    SESSION_MISSING = "session_missing"
    HOLE = "hole"
    WINDOW_SLID = "window_slid"
    CONFIRMED_EMPTY = "confirmed_empty"
    NO_TRADING = "no_trading"
    UNSURE = "unsure"


# Kinds of bars that should be there.
MISSING = (Kind.SESSION_MISSING.value, Kind.HOLE.value, Kind.WINDOW_SLID.value)


@dataclass(frozen=True, slots=True)
class Finding:
    """A run of missing bars.

    `start` is the opening of the first one, `end` the end of the last one, both aware UTC;
    `reason` is one sentence.
    """

    kind: Kind
    start: datetime
    end: datetime
    n_bars: int
    n_sessions: int
    reason: str

    def checked_against(self, looked_at: Sequence[Range], seams: Sequence[Range]) -> Finding:
        """Return the finding with the kind that seams and an earlier look give it."""
        start, end = to_ms(self.start), to_ms(self.end)
        if any(first < end and start < last for first, last in seams):
            reason = "The windows of two fetches did not overlap: the bars between them were never received."
            return replace(self, kind=Kind.WINDOW_SLID, reason=reason)
        if not any(first <= start and end <= last for first, last in looked_at):
            return self
        reason = f"{self.reason} It was fetched again and is still empty."
        if self.kind is Kind.UNSURE:
            return replace(self, reason=reason)
        if self.n_sessions >= _SUSPENDED_SESSIONS:
            return replace(self, kind=Kind.NO_TRADING, reason=reason)
        return replace(self, kind=Kind.CONFIRMED_EMPTY, reason=reason)


@dataclass(frozen=True, slots=True)
class GapReport:
    """The missing bars of a series.

    `expected` counts the bars that should be there: `held` + `missing`. `quiet` counts
    intervals without a bar that chance explains, and sessions that only the second calendar
    can judge and does not have: a minute without trade is no hole. `breaks`
    counts intervals in learned breaks. `outside` counts bars outside the calendar's hours.
    `why_unknown` is a sentence where the calendar cannot be read, and there is no report then.
    """

    expected: int = 0
    held: int = 0
    missing: int = 0
    quiet: int = 0
    breaks: int = 0
    outside: int = 0
    why_unknown: str = ""
    second_opinion: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def share_held(self) -> float | None:
        """Share of the expected bars that are held, from 0 to 1; None where none is expected."""
        return self.held / self.expected if self.expected else None

    @property
    def counts(self) -> dict[str, int]:
        """Missing bars of each kind."""
        counts: dict[str, int] = {}
        for finding in self.findings:
            kind = finding.kind.value
            counts[kind] = counts.get(kind, 0) + finding.n_bars
        return counts

    @property
    def largest(self) -> Finding | None:
        """The finding with the most missing bars."""
        return max(self.findings, key=lambda finding: finding.n_bars, default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON; at most 200 findings."""
        largest = self.largest
        return {
            "expected": self.expected,
            "held": self.held,
            "missing": self.missing,
            "quiet": self.quiet,
            "breaks": self.breaks,
            "outside": self.outside,
            "share_held": self.share_held,
            "why_unknown": self.why_unknown,
            "second_opinion": self.second_opinion,
            "counts": self.counts,
            "largest": _plain(largest) if largest else None,
            "n_findings": len(self.findings),
            "findings": [_plain(finding) for finding in self.findings[:_MOST_FINDINGS]],
        }


def _plain(finding: Finding) -> dict[str, Any]:
    times = {"start": finding.start.isoformat(), "end": finding.end.isoformat()}
    return asdict(finding) | {"kind": finding.kind.value} | times


def to_instant(milliseconds: int) -> datetime:
    """Return UNIX milliseconds as an aware time in UTC."""
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def to_ms(moment: datetime) -> int:
    """Return an aware time in UNIX milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
