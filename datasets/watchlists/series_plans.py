"""Series of the watchlists: one schedule for each symbol at each timeframe, also where several lists have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import (
    Case,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)

from datasets.bars.series_keys import SeriesKey
from datasets.models import Schedule, Series, WatchedSymbol, Watchlist, database

# The order of a list's series: that of its symbols, then that of its timeframes.
LIST_ORDER = ("symbol_place", "exchange", "symbol", "timeframe_place", "pk")
LISTS_PAUSED = "Each watchlist with this series is paused."
# SQLite limits the number of values in one statement.
_AT_A_TIME = 200
_CHANGING = (
    "n_bars", "settle_s", "is_paused", "pause_reason", "series", "backfilled_at", "due_at",
)  # fmt: skip


@dataclass(slots=True)
class SeriesPlan:
    """The values that all watchlists together require for one series."""

    n_bars: int
    settle_s: int
    is_paused: bool


def keys_of(watchlist: Watchlist, symbols: Iterable[WatchedSymbol]) -> list[SeriesKey]:
    """Return the keys of these symbols at each timeframe of the list, in order."""
    values = {
        "source": settings.TV_SOURCE,
        "session": watchlist.session,
        "adjustment": watchlist.adjustment,
    }
    return [
        SeriesKey.from_dict(
            {**values, "exchange": each.exchange, "symbol": each.symbol, "timeframe": timeframe}
        )
        for each in symbols
        for timeframe in watchlist.timeframes
    ]


def schedules_of(watchlist: Watchlist) -> QuerySet[Schedule]:
    """Return the schedules of the list's series, of the source that this service fetches from."""
    symbols = watchlist.symbols.filter(exchange=OuterRef("exchange"), symbol=OuterRef("symbol"))
    return own_schedules().filter(
        Exists(symbols),
        timeframe__in=watchlist.timeframes,
        session=watchlist.session,
        adjustment=watchlist.adjustment,
    )


def with_places(watchlist: Watchlist, schedules: QuerySet[Schedule]) -> QuerySet[Any]:
    """Return schedules of the list with the place of the symbol and of the timeframe in the list, for `LIST_ORDER`."""
    symbols = watchlist.symbols.filter(exchange=OuterRef("exchange"), symbol=OuterRef("symbol"))
    timeframes = [
        When(timeframe=timeframe, then=Value(place))
        for place, timeframe in enumerate(watchlist.timeframes)
    ]
    return schedules.annotate(
        symbol_place=Subquery(symbols.order_by().values("position")[:1]),
        timeframe_place=Case(*timeframes, output_field=IntegerField()),
    )


def watchlists_of(schedules: Sequence[Schedule]) -> list[Watchlist]:
    """Return the watchlists that have the schedules' series, by name; a list once for each of its series."""
    rows: dict[tuple[str, str], list[Watchlist]] = defaultdict(list)
    symbols = WatchedSymbol.objects.filter(
        exchange__in={each.exchange for each in schedules},
        symbol__in={each.symbol for each in schedules},
    )
    for row in symbols.select_related("watchlist").order_by("watchlist__name"):
        rows[row.exchange, row.symbol].append(row.watchlist)
    return [
        watchlist
        for each in schedules
        for watchlist in rows[each.exchange, each.symbol]
        if each.timeframe in watchlist.timeframes
        and (each.session, each.adjustment) == (watchlist.session, watchlist.adjustment)
    ]


def own_schedules() -> QuerySet[Schedule]:
    """Return the schedules of the source that this service fetches from."""
    return Schedule.objects.filter(source=settings.TV_SOURCE)


def update_schedules() -> None:
    """Make the schedules of all series of the watchlists, and delete those of no list.

    Also corrects schedules after a change of the source or of a list's values. Any number of
    processes may call it at the same time.
    """
    with transaction.atomic():
        # Read before the lists: a schedule that another process makes meanwhile is not deleted.
        # Locked, so that no sweep changes a row between the read and the update.
        held = {
            each.series_key: each for each in own_schedules().order_by("pk").select_for_update()
        }
        plans = plan_series()
        archives = _archives()
        new, changed = [], []
        for key, plan in plans.items():
            schedule = held.pop(key, None)
            if schedule is None:
                schedule = Schedule(**key.as_dict(), n_bars=0, due_at=database.shared_now())
                new.append(schedule)
            if _apply(plan, schedule, archives.get(key)) and schedule.pk is not None:
                changed.append(schedule)
        Schedule.objects.bulk_create(new, ignore_conflicts=True, batch_size=_AT_A_TIME)
        Schedule.objects.bulk_update(changed, _CHANGING, batch_size=_AT_A_TIME)
        left = [each.pk for each in held.values()]
        for begin in range(0, len(left), _AT_A_TIME):
            Schedule.objects.filter(pk__in=left[begin : begin + _AT_A_TIME]).delete()


def plan_series() -> dict[SeriesKey, SeriesPlan]:
    """Return the plan of each series of the watchlists: the most bars, and the shortest wait after a close."""
    plans: dict[SeriesKey, SeriesPlan] = {}
    for watchlist in Watchlist.objects.prefetch_related("symbols"):
        for key in keys_of(watchlist, watchlist.symbols.all()):
            plan = SeriesPlan(watchlist.first_bars, watchlist.settle_s, watchlist.is_paused)
            other = plans.get(key)
            if other is not None:
                plan.n_bars = max(plan.n_bars, other.n_bars)
                plan.settle_s = min(plan.settle_s, other.settle_s)
                plan.is_paused = plan.is_paused and other.is_paused
            plans[key] = plan
    return plans


def resume(schedules: QuerySet[Schedule]) -> int:
    """Let series that are paused or whose fetches failed be fetched again, at once; return their number."""
    return schedules.filter(Q(is_paused=True) | Q(failures__gt=0)).update(
        is_paused=False, pause_reason="", failures=0, due_at=database.shared_now()
    )


def _archives() -> dict[SeriesKey, tuple[int, int]]:
    """Return primary key and number of bars of each archived series of a watched symbol."""
    symbols = WatchedSymbol.objects.filter(exchange=OuterRef("exchange"), symbol=OuterRef("symbol"))
    archived = Series.objects.filter(Exists(symbols), source=settings.TV_SOURCE)
    return {each.series_key: (each.pk, each.n_rows) for each in archived}


def _apply(plan: SeriesPlan, schedule: Schedule, archive: tuple[int, int] | None) -> bool:
    """Give the schedule the values of the plan; return whether any value changed."""
    before = [getattr(schedule, name) for name in _VALUES]
    if archive is not None:
        schedule.series_id = archive[0]
    if plan.n_bars > schedule.n_bars:
        # The archive may hold the whole window already, from other fetches.
        is_held = archive is not None and archive[1] >= plan.n_bars
        schedule.backfilled_at = database.shared_now() if is_held else None
        schedule.due_at = database.shared_now()
    schedule.n_bars, schedule.settle_s = plan.n_bars, plan.settle_s
    if plan.is_paused and not schedule.is_paused:
        schedule.is_paused, schedule.pause_reason = True, LISTS_PAUSED
    elif not plan.is_paused and schedule.pause_reason == LISTS_PAUSED:
        schedule.is_paused, schedule.pause_reason = False, ""
    return before != [getattr(schedule, name) for name in _VALUES]


_VALUES = tuple(name if name != "series" else "series_id" for name in _CHANGING)
