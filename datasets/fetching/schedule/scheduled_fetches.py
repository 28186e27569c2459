"""Fetches of schedules: the guarded step from a due schedule to the row of its fetch."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from datasets.bars import DatasetKey
from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch, Schedule


def claim_due(schedule: Schedule, next_at: datetime) -> bool:
    """Move the schedule's due time to `next_at`; return False when another process has, or it is paused.

    The update is guarded by the due time that was read, so that of any number of workers one
    claims it. The caller opens the fetch in the same transaction.
    """
    still = Schedule.objects.filter(
        pk=schedule.pk, due_at=schedule.due_at, fetch=None, is_paused=False
    )
    return bool(still.update(due_at=next_at))


def open_scheduled(schedule: Schedule, next_at: datetime, priority: Fetch.Priority) -> Fetch | None:
    """Claim a due schedule and open its fetch; return None when another process has claimed it.

    Both happen or neither does, also when the process dies in between. Raises `QueueFull`.
    """
    with transaction.atomic():
        if not claim_due(schedule, next_at):
            return None
        key = _free_key(schedule)
        fetch, _ = fetch_queue.open_fetch(key, via="schedule", priority=priority)
        Schedule.objects.filter(pk=schedule.pk).update(fetch=fetch)
    return fetch


def _free_key(schedule: Schedule) -> DatasetKey:
    """Return the key of the schedule's dataset, or of a larger one beside it where that is pinned.

    A pinned dataset stays as it is, and the archive still gets the new bars.
    """
    key: DatasetKey = schedule.key
    pinned = set(
        Dataset.objects.filter(**schedule.series_key.as_dict(), is_pinned=True).values_list(
            "n_bars", flat=True
        )
    )
    n_bars = next(n for n in range(key.n_bars, key.n_bars + len(pinned) + 1) if n not in pinned)
    return schedule.series_key.dataset(n_bars)
