"""Freshness of a series: up to which close its bars are held, how far behind that is, and why.

The calendar decides which bars have closed (`datasets.calendars.find_lag`); the row of the
schedule says when the next fetch comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import TextChoices

from datasets.bars import IMPORTED
from datasets.calendars import Calendar, find_lag, next_opening
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.catalog.holdings import holding_of
from datasets.models import Dataset, Schedule, Series


class FreshnessState(TextChoices):
    """Whether the bars of a series are up to date, and what keeps them from it."""

    CURRENT = "current"
    BEHIND = "behind"
    CLOSED = "closed"
    PAUSED = "paused"
    FAILING = "failing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh the bars of a series are at one instant. All instants are aware, UTC.

    Parameters
    ----------
    state
        `current`: no closed bar is missing. `closed`: the same, and the market is closed.
        `behind`: closed bars are not held. `failing`: the same, and the last fetch of the
        schedule failed. `paused`: the schedule does not fetch the series. `unknown`: the trading
        hours are not known, so that nothing can be said about missing bars.
    lag_bars
        Number of closed bars that are not held; None for unknown hours. Bars that a fetch has
        looked for and that the feed does not have count only for whole sessions.
    expected_through
        Close of the newest bar that the feed can give by now: the calendar says that the bar has
        closed, and the feed's delay is over. None for unknown hours.
    held_through
        Close up to which the held bars are complete; None for unknown hours.
    complete_until
        From this instant on the feed can give newer bars; None where the calendar does not say.
    opens_at
        Next beginning of trade while the market is closed, else None.
    next_run_at
        Start of the next fetch by the schedule; None where none is planned.
    reason
        All this in words.
    """

    state: FreshnessState
    lag_bars: int | None
    expected_through: datetime | None
    held_through: datetime | None
    complete_until: datetime | None
    opens_at: datetime | None
    next_run_at: datetime | None
    reason: str

    @property
    def summary(self) -> str:
        """The state in a few words, such as `6 bars behind` or `closed until Mon 6 Jan 14:30 UTC`."""
        lag = self.lag_bars
        behind = f"{lag:,} {'bar' if lag == 1 else 'bars'} behind" if lag else ""
        if self.state in (FreshnessState.PAUSED, FreshnessState.FAILING):
            return ", ".join(filter(None, [self.state.value, behind]))
        if self.state is FreshnessState.CLOSED and self.opens_at is not None:
            return f"closed until {self.opens_at:%a %-d %b %H:%M} UTC"
        return behind or ("hours unknown" if lag is None else "up to date")


def series_freshness(series: Series, now: datetime) -> Freshness:
    """Return how fresh the bars of a series are at `now`, and when its schedule fetches next.

    Makes no query where `schedule` was selected with the series.

    Parameters
    ----------
    series
        The row of a series; a series of no watchlist has no schedule.
    now
        An aware instant.
    """
    found = bars_freshness(series, now)
    # The other side of a one-to-one relation raises where there is no row.
    schedule: Schedule | None = getattr(series, "schedule", None)
    reason = " ".join(filter(None, [found.reason, _of_schedule(schedule)]))
    if schedule is None:
        return replace(found, reason=reason)
    if schedule.is_paused:
        return replace(found, reason=reason, state=FreshnessState.PAUSED)
    is_lacking = found.state in (FreshnessState.BEHIND, FreshnessState.UNKNOWN)
    state = FreshnessState.FAILING if schedule.failures and is_lacking else found.state
    return replace(found, reason=reason, state=state, next_run_at=schedule.due_at)


def bars_freshness(row: Series | Dataset, now: datetime) -> Freshness:
    """Return how fresh the bars of one row are at `now`, by the calendar alone; makes no query.

    The newest bar of a pinned dataset can be older than that of its series. The state is
    `current`, `behind`, `closed` or `unknown`.
    """
    held = holding_of(row)
    now_ms = to_ms(now)
    lag = None if row.source == IMPORTED else find_lag(held, now_ms)
    opening = next_opening(held.calendar, now_ms)
    opens_at = to_instant(opening) if opening is not None and opening > now_ms else None
    reason = _why_unknown(row, held.calendar) if lag is None else lag.sentence
    if opens_at is not None:
        reason += f" The market is closed until {_in_words(opens_at)}."
    expected_through, held_through, complete_until = lag.instants if lag else (None, None, None)
    state = FreshnessState.UNKNOWN
    if lag is not None:
        is_complete = FreshnessState.CURRENT if opens_at is None else FreshnessState.CLOSED
        state = FreshnessState.BEHIND if lag.n_bars else is_complete
    return Freshness(
        state,
        lag_bars=None if lag is None else lag.n_bars,
        expected_through=expected_through,
        held_through=held_through,
        complete_until=complete_until,
        opens_at=opens_at,
        next_run_at=None,
        reason=reason,
    )


def _why_unknown(row: Series | Dataset, calendar: Calendar) -> str:
    if row.source == IMPORTED:
        return "The bars came from a file, so no feed brings newer ones."
    why = calendar.why_unknown or "The calendar has no session around these bars."
    return f"{why} So nothing can be said about missing bars."


def _of_schedule(schedule: Schedule | None) -> str:
    """Return what the schedule says of the next bars, in a sentence or two."""
    if schedule is None:
        return "No watchlist has the series: its bars come when somebody requests them."
    if schedule.is_paused:
        return f"Its schedule is paused: {schedule.pause_reason or 'a person paused it.'}"
    sentence = f"The next fetch is due at {_in_words(schedule.due_at)}." if schedule.due_at else ""
    if not schedule.failures:
        return sentence
    times = "once" if schedule.failures == 1 else f"{schedule.failures} times in a row"
    return f"The scheduled fetch failed {times}: {schedule.last_error} {sentence}".strip()


def _in_words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
