"""Ranges of time on the command line, and how much of a range the archive holds, in words and as plain values."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datasets.archive.archive_bodies import ArchiveRequest, covered_part
from datasets.archive.series_rows import folder_of
from datasets.bars.instants import parse_instant
from datasets.bars.series_keys import SeriesKey
from datasets.storage.archives.known_bars import read_known


def read_instant(text: str) -> datetime:
    """Return the instant that `2024-01-01`, `2024-01-01T14:30` or UNIX seconds mean, in UTC, for argparse."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


@dataclass(frozen=True, slots=True)
class BarRange:
    """Bars that open at or after `start` and before `end`, both UTC; None for up to the newest bar."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class RangeReport:
    """How much of a range the archive of a series holds: the number of bars, and the facts of `covered_part`."""

    wanted: BarRange
    n_bars: int
    facts: dict[str, Any]

    @classmethod
    def of(cls, key: SeriesKey, wanted: BarRange) -> RangeReport:
        """Read the archive. Raises the errors of `read_known`."""
        found = read_known(folder_of(key), wanted.start, wanted.end)
        facts = covered_part(found, ArchiveRequest(start=wanted.start, end=wanted.end))
        return cls(wanted, found.rows.num_rows, facts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, by the names of the API; times are ISO 8601 in UTC."""
        holes = [
            {**hole, "after": _iso(hole["after"]), "before": _iso(hole["before"])}
            for hole in self.facts["holes"]
        ]
        ends = {name: _iso(self.facts[name]) for name in ("held_from", "held_through")}
        bounds = {"start": _iso(self.wanted.start), "end": _iso(self.wanted.end)}
        return {**bounds, "count": self.n_bars, **self.facts, **ends, "holes": holes}

    def sentences(self, *, is_all: bool) -> Iterator[str]:
        """Yield what is held of the range, and each part that is not held, in words.

        `is_all` says that TradingView gives no more.
        """
        first, last = self.facts["held_from"], self.facts["held_through"]
        yield f"{self.n_bars:,} bars of the range are held."
        if not self.facts["covers_start"]:
            reason = "TradingView gives no older bars" if is_all else "older bars were not fetched"
            yield f"The archive begins at {_minute(first)} UTC; {reason}."
        if self.facts["why_held_from"]:
            yield self.facts["why_held_from"]
        if self.wanted.end is not None and last < self.wanted.end:
            yield f"The newest bar opened at {_minute(last)} UTC."
        for hole in self.facts["holes"]:
            yield (
                f"No fetch has covered the time between {_minute(hole['after'])} and {_minute(hole['before'])} UTC, "
                "because the window had moved on."
            )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
