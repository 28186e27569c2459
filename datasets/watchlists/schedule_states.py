"""States of the watchlists' schedules, counted by the database: a look at them costs the same for any number of series.

Freshness (`series_states`) asks the calendar of each series instead, about a millisecond each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Count, F, Min, Q, QuerySet, TextChoices, Value, When

from datasets.models import Schedule, Watchlist
from datasets.watchlists.series_plans import own_schedules, watchlists_of

# A sweep opens a due fetch within seconds, unless the queue has no room or no worker is alive.
_GRACE = timedelta(minutes=1)


class ScheduleState(TextChoices):
    """How the fetches of a watched series go."""

    PAUSED = "paused"
    FAILING = "failing"
    NEW = "new", "without its first bars"
    FETCHING = "fetching", "in the queue"
    OVERDUE = "overdue"
    ON_TIME = "on_time", "on time"


@dataclass(frozen=True, slots=True)
class ScheduleCounts:
    """Number of watched series in each state, and the due time of the longest overdue one (aware, UTC)."""

    numbers: dict[ScheduleState, int] = field(default_factory=dict)
    oldest_due_at: datetime | None = None

    def overdue_s(self, now: datetime) -> float:
        """Return the seconds for which the longest overdue series waits; 0 where none is overdue."""
        return (now - self.oldest_due_at).total_seconds() if self.oldest_due_at else 0.0


def count_schedules(now: datetime, schedules: QuerySet[Schedule] | None = None) -> ScheduleCounts:
    """Count the series by state, in one query; without `schedules` those of all watchlists."""
    rows = with_state(own_schedules() if schedules is None else schedules, now)
    grouped = rows.order_by().values_list("state").annotate(n=Count("pk"), due=Min("due_at"))
    found = {state: (number, due_at) for state, number, due_at in grouped}
    numbers = {state: found.get(state.value, (0, None))[0] for state in ScheduleState}
    return ScheduleCounts(numbers, found.get(ScheduleState.OVERDUE.value, (0, None))[1])


def lists_behind(now: datetime, *, at_most: int) -> dict[Watchlist, int]:
    """Return the lists with series that fail or are overdue, and the number of these series.

    Looks at the `at_most` series that are due for the longest time.
    """
    behind = with_state(own_schedules(), now).filter(
        state__in=[ScheduleState.FAILING, ScheduleState.OVERDUE]
    )
    first = list(behind.order_by(F("due_at").asc(nulls_last=True), "pk")[:at_most])
    return dict(Counter(watchlists_of(first)).most_common())


def with_state(schedules: QuerySet[Schedule], now: datetime) -> QuerySet[Any]:
    """Return the schedules with their `state`, a value of `ScheduleState`."""
    conditions = {
        ScheduleState.PAUSED: Q(is_paused=True),
        ScheduleState.FAILING: Q(failures__gt=0),
        ScheduleState.NEW: Q(backfilled_at=None),
        ScheduleState.FETCHING: Q(fetch__isnull=False),
        ScheduleState.OVERDUE: Q(due_at__lte=now - _GRACE),
    }
    state = Case(
        *(When(condition, then=Value(name.value)) for name, condition in conditions.items()),
        default=Value(ScheduleState.ON_TIME.value),
        output_field=CharField(),
    )
    return schedules.annotate(state=state)
