"""Backfill: the whole first window of each new series, one series after another, in quiet time.

Each step is one fetch. A step is opened only while nothing more urgent waits, so that a backfill
delays neither a person nor the schedule. The rows of the schedules say what is left, so that it
can stop at any time and go on later.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from datasets.errors import QueueFull
from datasets.fetching.schedule.scheduled_fetches import open_scheduled
from datasets.models import Fetch, Schedule
from datasets.watchlists.series_plans import own_schedules

# Two, so that one waits for the throttle while the other one is written.
_STEPS_AT_ONCE = 2
# When a step is tried again whose fetch's row was deleted before its end was noted.
_AGAIN_AFTER = timedelta(days=1)


def unfilled() -> QuerySet[Schedule]:
    """Return the schedules whose whole first window has not been fetched yet."""
    return own_schedules().filter(backfilled_at=None)


def open_steps(now: datetime, schedules: QuerySet[Schedule] | None = None) -> list[Fetch]:
    """Open the next steps of the backfill, at most two at a time, and return their fetches.

    `schedules` limits the steps to some series. Opens none while fetches of a higher priority
    wait, or the queue is full. Any number of processes may call it.
    """
    n_open = _STEPS_AT_ONCE - _active().filter(priority=Fetch.Priority.BACKFILL).count()
    chosen = unfilled() if schedules is None else schedules.filter(backfilled_at=None)
    ready = chosen.filter(is_paused=False, fetch=None, due_at__lte=now)
    waiting = list(ready.order_by("due_at", "pk")[:n_open]) if n_open > 0 else []
    if not waiting or not is_quiet(now):
        return []
    again_at, priority = now + _AGAIN_AFTER, Fetch.Priority.BACKFILL
    opened = []
    with suppress(QueueFull):
        for schedule in waiting:
            fetch = open_scheduled(schedule, again_at, priority)
            if fetch is not None:
                opened.append(fetch)
    return opened


def is_quiet(now: datetime) -> bool:
    """Return whether no fetch of a person, of the API or of the schedule could begin now."""
    can_begin = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    waiting = _active().filter(can_begin, state=Fetch.State.QUEUED)
    return not waiting.filter(priority__lt=Fetch.Priority.BACKFILL).exists()


def _active() -> QuerySet[Fetch]:
    return Fetch.objects.filter(source=settings.TV_SOURCE, state__in=Fetch.ACTIVE)
