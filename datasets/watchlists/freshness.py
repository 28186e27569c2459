"""Freshness of a series: up to which close its bars are held, how far behind that is, and why.

The calendar decides which bars have closed (`datasets.calendars.find_lag`); the row of the
schedule says when the next fetch comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from datasets.bars import IMPORTED, BarLength
from datasets.calendars import Calendar, Holding, Lag, find_lag, next_opening
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.models import Dataset, Schedule, Series


class FreshnessState(StrEnum):
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


def series_freshness(series: Series | Dataset, now: datetime) -> Freshness:
    """Return how fresh the bars of a series, or of one of its datasets, are at `now`.

    Makes no query where `schedule` of the series was selected with it; with a dataset, where
    `series__schedule` was.

    Parameters
    ----------
    series
        The row of a series. Or a dataset: then its own newest bar counts, which is older than
        the series' newest one where the dataset is pinned.
    now
        An aware instant.
    """
    calendar, now_ms = Calendar.of(series.instrument), to_ms(now)
    lag = None if series.source == IMPORTED else find_lag(_holding_of(series, calendar), now_ms)
    opening = next_opening(calendar, now_ms)
    opens_at = to_instant(opening) if opening is not None and opening > now_ms else None
    schedule = _schedule_of(series)
    state = _state_of(lag, schedule, is_closed=opens_at is not None)
    next_run_at = None if schedule is None or schedule.is_paused else schedule.due_at
    sentences = [
        _why_unknown(series, calendar) if lag is None else lag.sentence,
        f"The market is closed until {_in_words(opens_at)}." if opens_at is not None else "",
        _of_schedule(schedule, next_run_at),
    ]
    expected_through, held_through, complete_until = lag.instants if lag else (None, None, None)
    return Freshness(
        state,
        lag_bars=None if lag is None else lag.n_bars,
        expected_through=expected_through,
        held_through=held_through,
        complete_until=complete_until,
        opens_at=opens_at,
        next_run_at=next_run_at,
        reason=" ".join(filter(None, sentences)),
    )


def _holding_of(row: Series | Dataset, calendar: Calendar) -> Holding:
    return Holding(
        BarLength.parse(row.timeframe),
        calendar,
        last_ms=to_ms(row.last_time),
        is_final=row.last_bar_final,
        fetched_ms=to_ms(row.fetched_at),
        delay_ms=1000 * int(row.instrument.get("delay_s") or 0),
    )


def _schedule_of(row: Series | Dataset) -> Schedule | None:
    series = row if isinstance(row, Series) else row.series
    # The row of the other side of a one-to-one relation raises where there is none.
    return getattr(series, "schedule", None)


def _state_of(lag: Lag | None, schedule: Schedule | None, *, is_closed: bool) -> FreshnessState:
    is_lacking = lag is None or lag.n_bars > 0
    if schedule is not None and schedule.is_paused:
        return FreshnessState.PAUSED
    if schedule is not None and schedule.failures and is_lacking:
        return FreshnessState.FAILING
    if lag is None:
        return FreshnessState.UNKNOWN
    if is_lacking:
        return FreshnessState.BEHIND
    return FreshnessState.CLOSED if is_closed else FreshnessState.CURRENT


def _why_unknown(row: Series | Dataset, calendar: Calendar) -> str:
    if row.source == IMPORTED:
        return "The bars came from a file, so no feed brings newer ones."
    why = calendar.why_unknown or "The calendar has no session around these bars."
    return f"{why} So nothing can be said about missing bars."


def _of_schedule(schedule: Schedule | None, next_run_at: datetime | None) -> str:
    """Return what the schedule says of the next bars, in a sentence or two."""
    if schedule is None:
        return "No watchlist has the series: its bars come when somebody requests them."
    if schedule.is_paused:
        return f"Its schedule is paused: {schedule.pause_reason or 'a person paused it.'}"
    sentence = f"The next fetch is due at {_in_words(next_run_at)}." if next_run_at else ""
    if not schedule.failures:
        return sentence
    times = "once" if schedule.failures == 1 else f"{schedule.failures} times in a row"
    return f"The scheduled fetch failed {times}: {schedule.last_error} {sentence}".strip()


def _in_words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
