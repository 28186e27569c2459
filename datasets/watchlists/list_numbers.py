"""Numbers of many watchlists at once: their symbols, series, next fetch and calls, in queries whose number is fixed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count

from datasets.calendars import CALENDAR_FACTS
from datasets.models import Schedule, Series, WatchedSymbol, Watchlist
from datasets.watchlists.budget import NeedsCounter
from datasets.watchlists.series_states import SeriesState, freshness_of

# The schedules of the lists' series: `chosen` has a row for each list and timeframe.
_FROM = """
    FROM chosen JOIN {symbols} AS w ON w.watchlist_id = chosen.id
    JOIN {schedules} AS s ON s.exchange = w.exchange AND s.symbol = w.symbol AND s.timeframe = chosen.timeframe
    AND s.session = chosen.session AND s.adjustment = chosen.adjustment AND s.source = %s
"""
_NUMBERS = """
    WITH chosen(id, timeframe, session, adjustment) AS (VALUES {chosen})
    SELECT chosen.id, s.exchange, s.timeframe, s.is_paused, r.id IS NULL, COUNT(*), MIN(s.due_at), {facts}
    {from_} LEFT JOIN {series} AS r ON r.id = s.series_id
    GROUP BY chosen.id, s.exchange, s.timeframe, s.is_paused, r.id IS NULL, {facts}
"""
_SERIES = """
    WITH chosen(id, timeframe, session, adjustment) AS (VALUES {chosen})
    SELECT chosen.id, s.id {from_}
"""


@dataclass(slots=True)
class ListNumbers:
    """What the list of watchlists shows of one: numbers, and the start of the next fetch (aware, UTC)."""

    n_symbols: int = 0
    n_series: int = 0
    next_run_at: datetime | None = None
    needs: NeedsCounter = field(default_factory=NeedsCounter)

    def add(self, number: int, due_at: datetime | None, *, is_paused: bool) -> None:
        """Count some series that are due at this instant or later."""
        self.n_series += number
        if due_at is not None and not is_paused:
            self.next_run_at = min(self.next_run_at or due_at, due_at)


def numbers_of(lists: Sequence[Watchlist]) -> dict[int, ListNumbers]:
    """Return the numbers of each list by primary key.

    Makes two queries, and another one for each exchange with a series without bars.
    """
    known: dict[str, dict[str, Any]] = {}
    found = {each.pk: ListNumbers(needs=NeedsCounter(known)) for each in lists}
    symbols = WatchedSymbol.objects.filter(watchlist__in=found).order_by().values("watchlist")
    for pk, number in symbols.annotate(number=Count("pk")).values_list("watchlist", "number"):
        found[pk].n_symbols = number
    for pk, exchange, timeframe, is_paused, is_new, number, due_at, *facts in _rows(
        _NUMBERS, lists
    ):
        instrument = None if is_new else dict(zip(CALENDAR_FACTS, facts, strict=True))
        found[pk].add(number, _instant(due_at), is_paused=bool(is_paused))
        if not is_paused:
            found[pk].needs.add(exchange, timeframe, instrument, number)
    return found


def states_of_lists(lists: Sequence[Watchlist], now: datetime) -> dict[int, list[SeriesState]]:
    """Return the states of the series of each list by its primary key, in no order; makes two queries."""
    pairs = _rows(_SERIES, lists)
    numbers = {number for _, number in pairs}
    # The series gets its schedule with it.
    schedules = Schedule.objects.select_related("series").in_bulk(numbers)
    states = {pk: SeriesState(each, freshness_of(each, now)) for pk, each in schedules.items()}
    found: dict[int, list[SeriesState]] = defaultdict(list)
    for pk, number in pairs:
        if number in states:
            found[pk].append(states[number])
    return found


def _rows(query: str, lists: Sequence[Watchlist]) -> list[tuple[Any, ...]]:
    """Return the rows of a query about the schedules of these lists."""
    chosen = [
        (each.pk, timeframe, each.session, each.adjustment)
        for each in lists
        for timeframe in each.timeframes
    ]
    if not chosen:
        return []
    arrow = (
        "r.instrument ->> '{}'"
        if connection.vendor == "postgresql"
        else "JSON_EXTRACT(r.instrument, '$.{}')"
    )
    tables = {"symbols": WatchedSymbol, "schedules": Schedule, "series": Series}
    names = {
        name: connection.ops.quote_name(model._meta.db_table) for name, model in tables.items()
    }
    statement = query.format(
        chosen=", ".join(["(%s, %s, %s, %s)"] * len(chosen)),
        facts=", ".join(arrow.format(fact) for fact in CALENDAR_FACTS),
        from_=_FROM.format(**names),
        **names,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for row in chosen for value in row] + [settings.TV_SOURCE])
        return list(cursor.fetchall())


def _instant(value: Any) -> datetime | None:
    """Return an instant of a row; SQLite gives it as a text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return None if value is None else value if value.tzinfo else value.replace(tzinfo=UTC)
