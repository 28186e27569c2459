"""States of a watchlist's series: how fresh each is, its next fetch and the last outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from datasets.bars import join_symbol
from datasets.models import Schedule, Watchlist
from datasets.watchlists.freshness import Freshness, FreshnessState, series_freshness
from datasets.watchlists.series_plans import schedules_of

_NO_BARS = "It has no bars yet; its first fetch begins when nothing more urgent waits."


@dataclass(frozen=True, slots=True)
class SeriesState:
    """One series of a watchlist: its schedule, with the series selected, and its freshness."""

    schedule: Schedule
    freshness: Freshness

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`; for an expression only the symbol."""
        return join_symbol(self.schedule.exchange, self.schedule.symbol)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as plain values; instants are aware, UTC."""
        schedule, series = self.schedule, self.schedule.series
        return {
            "full_symbol": self.full_symbol,
            "timeframe": schedule.timeframe,
            "series": schedule.series_id,
            "count": 0 if series is None else series.n_rows,
            "n_holes": 0 if series is None else series.n_holes,
            **asdict(self.freshness),
            "is_backfilled": schedule.backfilled_at is not None,
            "last_ok_at": schedule.last_ok_at,
            "failures": schedule.failures,
            "last_error": schedule.last_error,
        }


def states_of(watchlist: Watchlist, now: datetime) -> list[SeriesState]:
    """Return the state of each series of the list, in the order of its symbols and timeframes."""
    symbols = [(each.exchange, each.symbol) for each in watchlist.symbols.all()]
    places = {symbol: place for place, symbol in enumerate(symbols)}
    found = schedules_of(watchlist).select_related("series__schedule")
    states = [SeriesState(each, freshness_of(each, now)) for each in found]

    def place(state: SeriesState) -> tuple[int, int]:
        key = state.schedule.exchange, state.schedule.symbol
        timeframe = watchlist.timeframes.index(state.schedule.timeframe)
        return places.get(key, len(places)), timeframe

    return sorted(states, key=place)


def freshness_of(schedule: Schedule, now: datetime) -> Freshness:
    """Return how fresh a scheduled series is, also one that has no bars yet."""
    if schedule.series is not None:
        return series_freshness(schedule.series, now)
    state, reason = FreshnessState.BEHIND, _NO_BARS
    if schedule.is_paused:
        state, reason = FreshnessState.PAUSED, schedule.pause_reason
    elif schedule.failures:
        state, reason = FreshnessState.FAILING, schedule.last_error
    return Freshness(
        state,
        lag_bars=None,
        expected_through=None,
        held_through=None,
        complete_until=None,
        opens_at=None,
        next_run_at=None if schedule.is_paused else schedule.due_at,
        reason=reason,
    )


def counts_of(states: list[SeriesState]) -> dict[str, int]:
    """Return the number of series in each freshness state."""
    counts = Counter(each.freshness.state.value for each in states)
    return {state.value: counts[state.value] for state in FreshnessState}
