"""What the pages show of watchlists and of their series, in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from django.db.models import QuerySet

from datasets import watchlists
from datasets.bars import Timeframe
from datasets.catalog import lists
from datasets.models import Dataset, WatchedSymbol, Watchlist
from datasets.views import phrases
from datasets.views.snippets import chart_address
from datasets.watchlists import SeriesState
from datasets.watchlists.budget import budget_of
from datasets.watchlists.freshness import FreshnessState
from datasets.watchlists.kept_numbers import kept
from datasets.watchlists.list_numbers import numbers_of, states_of_lists
from datasets.watchlists.schedule_states import with_state
from datasets.watchlists.series_plans import LIST_ORDER, with_places

STATES = {
    FreshnessState.CURRENT: "Current",
    FreshnessState.BEHIND: "Behind",
    FreshnessState.CLOSED: "Market closed",
    FreshnessState.PAUSED: "Paused",
    FreshnessState.FAILING: "Failing",
    FreshnessState.UNKNOWN: "Hours unknown",
}


# A tenth of a millisecond each.
MOST_STATES = 300


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many series of a list are in one state of freshness."""

    state: str
    label: str
    number: int


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """One page of a list's series: their states, the numbers of the states in the whole list, and of its series."""

    page: lists.ListPage
    counts: list[StateCount]
    n_series: int

    @classmethod
    def of(cls, watchlist: Watchlist, state: str, number: int, now: datetime) -> Self:
        """Return page `number` of the series that are in `state`; all with an empty state.

        In a list of more than `MOST_STATES` series, the states are those of the fetches, which
        the database counts.
        """
        schedules = watchlists.schedules_of(watchlist)
        if schedules.order_by()[: MOST_STATES + 1].count() > MOST_STATES:
            return cls._of_long_list(watchlist, state, number, now)
        states = watchlists.states_of(watchlist, now)
        chosen = [each for each in states if state in ("", each.freshness.state.value)]
        begin = (number - 1) * lists.PER_PAGE
        shown = chosen[begin : begin + lists.PER_PAGE]
        has_next = begin + len(shown) < len(chosen)
        page = lists.ListPage(shown, number, count=len(chosen), has_next=has_next)
        return cls(page, counts_in_words(states), len(states))

    @classmethod
    def _of_long_list(cls, watchlist: Watchlist, state: str, number: int, now: datetime) -> Self:
        schedules = watchlists.schedules_of(watchlist)
        counted = kept(("states", watchlist.pk), lambda: watchlists.count_schedules(now, schedules))
        counts = [StateCount(each.value, each.label, n) for each, n in counted.numbers.items() if n]
        chosen = with_state(schedules, now).filter(state=state) if state else schedules
        found = lists.page_of(
            with_places(watchlist, chosen),
            order=list(LIST_ORDER),
            number=number,
            related=("series",),
        )
        states = [SeriesState(each, watchlists.freshness_of(each, now)) for each in found.rows]
        return cls(replace(found, rows=states), counts, sum(counted.numbers.values()))


def counts_in_words(states: list[SeriesState]) -> list[StateCount]:
    """Return the numbers of the states that some series has, in a fixed order."""
    counts = watchlists.counts_of(states)
    return [
        StateCount(state.value, label, counts[state.value])
        for state, label in STATES.items()
        if counts[state.value]
    ]


def list_rows(found: Sequence[Watchlist], now: datetime) -> list[dict[str, Any]]:
    """Return what the list of watchlists shows of each; the number of queries does not grow with the lists.

    The states are computed for `MOST_STATES` series in all; longer lists show them on their page.
    """
    numbers = kept(("lists", *(each.pk for each in found)), lambda: numbers_of(found))
    chosen, left = [], MOST_STATES
    for watchlist in found:
        if numbers[watchlist.pk].n_series <= left:
            left -= numbers[watchlist.pk].n_series
            chosen.append(watchlist)
    states = states_of_lists(chosen, now)
    return [
        {
            "watchlist": each,
            "n_symbols": f"{numbers[each.pk].n_symbols:,}",
            "n_series": f"{numbers[each.pk].n_series:,}",
            "counts": counts_in_words(states.get(each.pk, [])),
            "calls_a_day": f"{budget_of(numbers[each.pk].needs.needs, now).calls_a_day:,}",
            "next_run_at": numbers[each.pk].next_run_at,
        }
        for each in found
    ]


def series_rows(
    states: list[SeriesState], symbols: QuerySet[WatchedSymbol]
) -> list[dict[str, Any]]:
    """Return what the page of a list shows of these series."""
    numbers = [each.schedule.series_id for each in states]
    found = Dataset.objects.filter(series__in=numbers, state=Dataset.State.READY)
    # Of several datasets of a series the largest one is left.
    largest = {row.series_id: row for row in found.defer("instrument").order_by("n_bars")}
    shown = symbols.filter(symbol__in={each.schedule.symbol for each in states})
    rows_of = {(each.exchange, each.symbol): each for each in shown}
    return [
        series_row(
            each,
            rows_of.get((each.schedule.exchange, each.schedule.symbol)),
            largest.get(each.schedule.series_id),
        )
        for each in states
    ]


def series_row(
    state: SeriesState, symbol: WatchedSymbol | None, dataset: Dataset | None
) -> dict[str, Any]:
    """Return what the page of a list shows of one series; `dataset` is its largest one."""
    schedule, fresh, series = state.schedule, state.freshness, state.schedule.series
    gaps = [] if dataset is None else phrases.missing_in_words(dataset)
    if series is not None and series.n_holes:
        gaps.append(f"{series.n_holes:,} {'hole' if series.n_holes == 1 else 'holes'}")
    n_bars = schedule.n_bars if dataset is None else dataset.n_bars
    return {
        "full_symbol": state.full_symbol,
        "description": "" if series is None else series.instrument.get("description", ""),
        "timeframe": Timeframe(schedule.timeframe).label,
        "series": series,
        "section": "" if symbol is None else symbol.section,
        "problem": "" if symbol is None else symbol.problem,
        "symbol": symbol,
        "state": fresh.state.value,
        "label": state_in_words(state),
        "reason": fresh.reason,
        "held_through": fresh.held_through,
        "bars": "none yet" if series is None else phrases.bars_in_words(series.n_rows),
        "next_run_at": fresh.next_run_at,
        "outcome": outcome_in_words(state),
        "gaps": ", ".join(gaps),
        "chart": chart_address(schedule.series_key.dataset(n_bars)),
    }


def state_in_words(state: SeriesState) -> str:
    """Return the state of a series in a few words: `Current`, `6 bars behind`, `Failing`."""
    fresh = state.freshness
    if state.schedule.series is None and fresh.state == FreshnessState.BEHIND:
        return "No bars yet"
    if fresh.state in (FreshnessState.BEHIND, FreshnessState.FAILING) and fresh.lag_bars:
        behind = f"{phrases.bars_in_words(fresh.lag_bars)} behind"
        return behind if fresh.state == FreshnessState.BEHIND else f"Failing, {behind}"
    return STATES[fresh.state]


def outcome_in_words(state: SeriesState) -> str:
    """Return how the last fetch of the schedule ended."""
    schedule = state.schedule
    if schedule.failures:
        return schedule.last_error
    if schedule.last_ok_at is not None:
        return f"Succeeded {schedule.last_ok_at:%Y-%m-%d %H:%M} UTC"
    return "None yet"
