"""Sweep of the schedules: each worker looks every few seconds for ended and for due fetches."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from django.conf import settings

from datasets.errors import QueueFull
from datasets.fetching.schedule.backfill import open_steps
from datasets.fetching.schedule.due_times import is_held, next_due
from datasets.fetching.schedule.schedule_outcomes import settle_ended
from datasets.fetching.schedule.scheduled_fetches import claim_due, open_scheduled
from datasets.models import Fetch, Schedule, database
from datasets.watchlists.series_plans import own_schedules

# Scheduled fetches in the queue at one time. The others stay due, and leave the queue's room to
# people.
MOST_QUEUED = 50


def sweep_schedules(now: datetime | None = None) -> list[Fetch]:
    """Note the ends of the schedules' fetches, open the due ones and the next steps of the backfill.

    Returns the fetches that this call opened. `now` is by default the database's clock. Any number
    of workers may call it at the same time: each fetch is opened once.
    """
    now = database.now() if now is None else now
    settle_ended(now)
    if not settings.TV_ENABLED:
        return []
    return [*open_due(now), *open_steps(now)]


def open_due(now: datetime) -> list[Fetch]:
    """Open the fetches of the series that are due, and return those that this call opened.

    After a pause of the workers each series is fetched once, not once for each bar. With a full
    queue the others stay due; a later call opens their fetches.
    """
    queued = Fetch.objects.filter(
        source=settings.TV_SOURCE, state=Fetch.State.QUEUED, priority=Fetch.Priority.SCHEDULE
    )
    due = own_schedules().filter(
        is_paused=False, fetch=None, due_at__lte=now, backfilled_at__isnull=False
    )
    n_room = MOST_QUEUED - queued.count()
    chosen = due.select_related("series__schedule").order_by("due_at", "pk")
    opened = []
    with suppress(QueueFull):
        for schedule in chosen[:n_room] if n_room > 0 else ():
            fetch = _open(schedule, now)
            if fetch is not None:
                opened.append(fetch)
    return opened


def _open(schedule: Schedule, now: datetime) -> Fetch | None:
    """Open the fetch of a due schedule; None when another worker has, or the newest bar is held already."""
    next_at = next_due(schedule, now)
    if is_held(schedule, now):
        claim_due(schedule, next_at)
        return None
    return open_scheduled(schedule, next_at, Fetch.Priority.SCHEDULE)
