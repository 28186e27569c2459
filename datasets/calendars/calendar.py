"""A calendar: when one instrument trades, from the facts that the feed has sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np

from datasets.calendars.session_strings import (
    SessionHours,
    parse_corrections,
    parse_dates,
    parse_session,
)
from datasets.calendars.sessions import Sessions, build_sessions
from datasets.calendars.zones import DAY_MS, Booleans, Integers, parse_zone

# Tables are built for whole spans of this many days, so that two series share a table.
_SPAN_DAYS = 3653
# Sessions before and after the bars that a rule may look at: a bar of 366 weekdays is the longest.
_MARGIN_DAYS = 750
# 1677 and 2262 in days: the limits of pandas' time zones.
_FIRST_DATE, _LAST_DATE = -106_000, 106_000


# The facts of an instrument that are its calendar, in the order of the fields of `Calendar`.
CALENDAR_FACTS = (
    "session_hours",
    "timezone",
    "session_display",
    "session_holidays",
    "session_correction",
    "subsession",
)


@dataclass(frozen=True)
class Calendar:
    """The feed's own texts about trading hours, as they were received; immutable.

    `hours`, `display`, `holidays` and `corrections` are `session`, `session_display`,
    `session_holidays` and `session-correction` of the subsession that was asked for. Each is
    "" where the feed sent none.
    """

    hours: str = ""
    timezone: str = ""
    display: str = ""
    holidays: str = ""
    corrections: str = ""
    subsession: str = ""

    @classmethod
    def of(cls, instrument: Mapping[str, Any]) -> Self:
        """Return the calendar of an instrument's facts, as files, rows and replies hold them.

        Files of version 0.3.0 hold hours and time zone only.
        """
        return cls(*(str(instrument.get(fact) or "") for fact in CALENDAR_FACTS))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.hours, self.timezone, self.display, self.holidays, self.corrections))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over the texts; another content is another version of the calendar."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @cached_property
    def session_hours(self) -> SessionHours | None:
        """The parsed hours; the displayed ones where only those can be read; None for unknown hours."""
        return parse_session(self.hours) or (parse_session(self.display) if self.hours else None)

    @cached_property
    def is_known(self) -> bool:
        """Whether hours and time zone can be read."""
        return self.session_hours is not None and parse_zone(self.timezone) is not None

    @property
    def why_unknown(self) -> str:
        """One sentence that says which text cannot be read; "" where all can be."""
        if not self.hours:
            return "The feed sent no trading hours."
        if self.session_hours is None:
            return f"The trading hours {self.hours!r} are in no known form."
        if parse_zone(self.timezone) is None:
            return f"The time zone {self.timezone!r} is not known."
        return ""

    @cached_property
    def has_all_corrections(self) -> bool:
        """Whether every correction of the feed can be read."""
        return parse_corrections(self.corrections).is_whole

    @cached_property
    def is_round_the_clock(self) -> bool:
        """Whether the market never closes."""
        return self.hours == "24x7"

    @property
    def first_weekday(self) -> int:
        """First day of the trading week; Monday is 0."""
        return self.session_hours.first_weekday if self.session_hours else 0

    @cached_property
    def has_weekend(self) -> bool:
        """Whether a Saturday or a Sunday is a usual trading date."""
        hours = self.session_hours
        return hours is not None and any(hours.eras[-1][1].days[day] for day in (5, 6))

    @cached_property
    def known_holidays(self) -> tuple[int, int]:
        """First and last trading date between which the feed's holidays are known; (1, 0) for none."""
        days = parse_dates(self.holidays)
        if self.is_round_the_clock:
            return _FIRST_DATE, _LAST_DATE
        return (min(days), max(days)) if days else (1, 0)

    def knows_holidays(self, dates: Integers) -> Booleans:
        """Return for each trading date whether the feed's list of holidays reaches to the date."""
        first, last = self.known_holidays
        known: Booleans = (dates >= first) & (dates <= last)
        return known

    def sessions(self, start_ms: int, end_ms: int) -> Sessions:
        """Return the sessions that open at `start_ms` or later and before `end_ms`.

        Parameters
        ----------
        start_ms, end_ms
            UNIX milliseconds, UTC; the start is part of the range, the end is not.

        Returns
        -------
        Sessions
            One row for each trading date with trade; empty where the hours are not known.
        """
        return self.table(np.array([start_ms, end_ms], dtype=np.int64)).between(start_ms, end_ms)

    def table(self, times: Integers) -> Sessions:
        """Return a table with all sessions around these instants, which must be in order.

        The table has at least two years more on each side. A process builds it once.
        """
        first, last = (int(times[0]) // DAY_MS, int(times[-1]) // DAY_MS) if len(times) else (0, 0)
        begin = (first - _MARGIN_DAYS) // _SPAN_DAYS * _SPAN_DAYS
        end = -((-last - _MARGIN_DAYS) // _SPAN_DAYS) * _SPAN_DAYS
        return _table(self, max(begin, _FIRST_DATE), min(end, _LAST_DATE))


@lru_cache(maxsize=128)
def _table(calendar: Calendar, first_date: int, last_date: int) -> Sessions:
    zone, hours = parse_zone(calendar.timezone), calendar.session_hours
    if zone is None or hours is None:
        return _NO_SESSIONS
    return build_sessions(
        hours,
        zone,
        display=parse_session(calendar.display) if calendar.display else None,
        holidays=parse_dates(calendar.holidays),
        corrections=parse_corrections(calendar.corrections),
        first_date=first_date,
        last_date=last_date,
    )


_NO_SESSIONS = Sessions(
    **{
        field.name: np.empty(0, dtype=bool if "is_" in field.name else np.int64)
        for field in fields(Sessions)
    }
)
