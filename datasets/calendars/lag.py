"""Lag: how many closed bars of a series are not held. The one rule for all readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np

from datasets.bars import BarLength
from datasets.calendars.calendar import Calendar
from datasets.calendars.expected_bars import Timetable
from datasets.calendars.gap_findings import to_instant, to_ms

# The feed can send a bar this long after the bar's close.
SETTLE_MS = 5000
# A scheduled fetch comes later than the close by a part of the bar, which differs by series; for
# days and longer bars, because hundreds of series close at one instant, by up to 45 minutes.
_JITTER_PART = 0.2
_LONGEST_JITTER = timedelta(minutes=10)
_DAILY_JITTER = timedelta(minutes=45)


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of a series, and when the feed was last read.

    Instants are UNIX milliseconds: `last_ms` is the opening of the newest bar, and `fetched_ms`
    the time of the feed's last reply. `is_final` says whether the newest bar was final in that
    reply; None where the feed did not say so: then the calendar decides. `delay_ms` is the delay of the feed behind the exchange.
    """

    length: BarLength
    calendar: Calendar
    last_ms: int
    is_final: bool | None
    fetched_ms: int
    delay_ms: int = 0

    @classmethod
    def of(
        cls,
        timeframe: str,
        instrument: Mapping[str, Any],
        *,
        last_time: datetime,
        is_final: bool | None,
        fetched_at: datetime,
    ) -> Self:
        """Return the holding of a row, of a file's facts or of a document; instants are aware."""
        return cls(
            BarLength.parse(timeframe),
            Calendar.of(instrument),
            to_ms(last_time),
            is_final,
            to_ms(fetched_at),
            1000 * int(instrument.get("delay_s") or 0),
        )

    @property
    def complete_until(self) -> datetime | None:
        """From this instant on the feed can give newer bars; None where the calendar does not say."""
        lag = find_lag(self, self.fetched_ms)
        return None if lag is None else lag.instants[2]


@dataclass(frozen=True, slots=True)
class Lag:
    """The bars that have closed and are not held, and the instants around them, UNIX milliseconds.

    Parameters
    ----------
    n_bars
        Number of bars that the calendar expects, that the feed can give by now, and that no
        fetch has looked for. Bars that a fetch has looked for and that the feed does not have
        count only where a whole session is without a bar: a minute without trade is no lag.
    expected_through_ms
        Close of the newest bar that the feed can give by now.
    held_through_ms
        Close up to which the held bars are complete.
    complete_until_ms
        From this instant on, the feed can give a newer bar, or the final values of the last one;
        None where the calendar does not reach so far.
    n_absent
        How many of them are bars of whole sessions that the feed did not send in the last fetch.
    n_unread
        How many of them have closed since the last fetch: these a new fetch can bring.
    """

    n_bars: int
    expected_through_ms: int
    held_through_ms: int
    complete_until_ms: int | None
    n_absent: int
    n_unread: int

    @property
    def instants(self) -> tuple[datetime, datetime, datetime | None]:
        """`expected_through`, `held_through` and `complete_until` as aware instants, UTC."""
        until = self.complete_until_ms
        return (
            to_instant(self.expected_through_ms),
            to_instant(self.held_through_ms),
            None if until is None else to_instant(until),
        )

    @property
    def sentence(self) -> str:
        """The lag in a sentence or two, for errors, replies and pages."""
        through = _in_words(self.held_through_ms)
        if not self.n_bars:
            return f"All bars up to the close at {through} are held."
        sentence = (
            f"{self.n_bars:,} {'bar has' if self.n_bars == 1 else 'bars have'} closed since "
            f"{through}, up to {_in_words(self.expected_through_ms)}, and not been fetched."
        )
        if not self.n_absent:
            return sentence
        return (
            f"{sentence} Of {self.n_absent:,} of them the last fetch found nothing, for whole sessions: "
            "there was no trade, or the feed has a fault."
        )


def find_lag(held: Holding, now_ms: int) -> Lag | None:
    """Compare what is held with what the calendar expects at `now_ms`; None for unknown hours.

    Also None where the calendar has no session around these instants.
    """
    at_ms, looked_ms = now_ms - held.delay_ms, held.fetched_ms - held.delay_ms - SETTLE_MS
    first, last = min(held.last_ms, looked_ms, at_ms), max(held.last_ms, at_ms)
    table = Timetable.around(held.calendar, held.length, first, last)
    if table is None:
        return None
    n_held, is_final = table.n_opened(held.last_ms), held.is_final
    if is_final is None:
        close = table.close_of(n_held - 1)
        is_final = close is not None and close <= looked_ms
    n_held -= not is_final
    n_looked = min(table.n_closed(looked_ms), table.n_closed(at_ms))
    n_covered, n_absent = n_held, 0
    if is_final and n_looked > n_held:
        # The rest of the session of the last held bar had no trade.
        after = table.session_end(n_held - 1) if n_held else 0
        n_absent = max(0, table.n_in_ended_sessions(n_looked) - after)
        n_covered = after if n_absent else n_looked
    n_due = max(table.n_closed(at_ms), n_covered)
    expected_through, held_through = table.close_of(n_due - 1), table.close_of(n_covered - 1)
    if expected_through is None or held_through is None:
        return None
    until = table.close_of(n_covered)
    return Lag(
        n_due - n_covered,
        expected_through,
        held_through,
        complete_until_ms=None if until is None else until + held.delay_ms,
        n_absent=n_absent,
        n_unread=n_due - max(n_held, n_looked),
    )


def longest_jitter(length: BarLength) -> timedelta:
    """Return the longest time by which a scheduled fetch is put off, to spread the series."""
    if length.minutes is None:
        return _DAILY_JITTER
    return min(_JITTER_PART * timedelta(minutes=length.minutes), _LONGEST_JITTER)


def longest_fetch_delay(length: BarLength) -> timedelta:
    """Return the time after a close, and the feed's delay, in which a schedule fetches the bar."""
    return longest_jitter(length) + timedelta(milliseconds=SETTLE_MS)


def next_opening(calendar: Calendar, at_ms: int) -> int | None:
    """Return the instant at which trade begins again, UNIX ms; `at_ms` itself while the market is open.

    None where the hours are not known, or the calendar names no later session.
    """
    table = calendar.table(np.array([at_ms], dtype=np.int64))
    place = int(np.searchsorted(table.period_closes, at_ms, "right"))
    if place == len(table.period_closes):
        return None
    return max(int(table.period_opens[place]), at_ms)


def _in_words(at_ms: int) -> str:
    return f"{to_instant(at_ms):%Y-%m-%d %H:%M} UTC"
