"""Queue of fetches: one row for each fetch, from its request to its end.

A person's fetch comes before one of the API, and both before the schedule. Within one priority
clients take turns: a client with many queued fetches does not delay the next fetch of another.
Every change is a guarded `UPDATE`, so that two simultaneous changes never undo each other.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Min, Q, QuerySet

from datasets import log_context
from datasets.bars import DatasetKey
from datasets.errors import FetchError, QueueFull, StoreFailed, TooManyRequests, WorkerLost
from datasets.fetching import fetch_quotas, leases
from datasets.models import Fetch, database

# A fetch whose workers died in this many attempts ends as failed.
MAX_CLAIMS = 8
# The order in which queued fetches begin.
IN_TURN = ("priority", "turn", "pk")
# A fetch of another way is one of the API.
_PRIORITIES = {
    "page": Fetch.Priority.PERSON,
    "admin": Fetch.Priority.PERSON,
    "schedule": Fetch.Priority.SCHEDULE,
    "backfill": Fetch.Priority.BACKFILL,
}
# The longest pause of any error; a later instant was written under a wrong clock.
_LONGEST_PAUSE = timedelta(hours=1)


def open_fetch(
    key: DatasetKey,
    *,
    via: str,
    by: str = "",
    priority: Fetch.Priority | None = None,
) -> tuple[Fetch, bool]:
    """Return the key's queued or running fetch, and whether this call created it.

    Without `priority` the way `via` decides it. A row of a lower priority that is requested again
    is raised. Simultaneous calls for one key create one row and all return it. Raises
    `TooManyRequests` when the client `by` has its share of the queue or of the day, and
    `QueueFull` when the queue is full.
    """
    by, priority = by[:150], priority_of(via) if priority is None else priority
    for _ in range(3):
        found = _active(key).first()
        if found is not None:
            if priority < found.priority:
                _raise(found, priority, by)
            return found, False
        _require_room(by, priority)
        # A simultaneous call may create the row first; the next round then finds it.
        with suppress(IntegrityError), transaction.atomic():
            fetch_quotas.count(by)
            values = {"requested_via": via, "requested_by": by, "turn": _next_turn(by, priority)}
            values["request_id"] = log_context.request_id()
            values["requested_at"] = database.shared_now()
            return Fetch.objects.create(**key.as_dict(), **values, priority=priority), True
    raise StoreFailed(f"The fetch of {key} could not be queued; try again.")


def priority_of(via: str) -> Fetch.Priority:
    """Return the priority of a fetch that is requested this way: `page`, `api`, `schedule` …"""
    return _PRIORITIES.get(via, Fetch.Priority.API)


_REASONS = {
    Fetch.Priority.PERSON: "a person waits for it",
    Fetch.Priority.API: "a client or a command requested it",
    Fetch.Priority.SCHEDULE: "a watchlist needs its newest bars",
    Fetch.Priority.BACKFILL: "a watchlist needs its older bars",
}


def priority_reason(fetch: Fetch) -> str:
    """Return why the fetch has its priority, in a few words."""
    reason, first = _REASONS[Fetch.Priority(fetch.priority)], priority_of(fetch.requested_via)
    if first > fetch.priority:
        return f"{reason}; it was queued by the {first.label} before"
    return reason


def _next_turn(by: str, priority: int) -> int:
    """Return the turn after the client's last one; for a new client, the current turn of the priority."""
    queued = _queued().filter(priority=priority)
    turn: int | None = queued.filter(requested_by=by).aggregate(turn=Max("turn") + 1)["turn"]
    if turn is None:
        # Rows that wait for another attempt keep an old turn and do not count.
        turn = queued.filter(next_attempt_at=None).aggregate(turn=Min("turn"))["turn"]
    return turn or 0


def _raise(fetch: Fetch, priority: Fetch.Priority, by: str) -> None:
    """Give an active fetch a better priority, also one that waits for the throttle already."""
    values = {"priority": priority, "turn": _next_turn(by, priority)}
    active = Fetch.objects.filter(pk=fetch.pk, state__in=Fetch.ACTIVE, priority__gt=priority)
    if active.update(**values):
        fetch.priority, fetch.turn = priority, values["turn"]


def _require_room(by: str, priority: Fetch.Priority) -> None:
    """Raise `TooManyRequests` or `QueueFull`; `by` is empty for the operator's commands.

    Fetches of the schedule leave the places of other fetches free.
    """
    if by and 0 < settings.MAX_QUEUED_PER_CLIENT <= _queued().filter(requested_by=by).count():
        raise TooManyRequests(
            f"{settings.MAX_QUEUED_PER_CLIENT} of your fetches are already queued, the limit for one client. "
            "Nothing was queued. Send the request again when some of these fetches have ended.",
            retry_after_s=QueueFull.retry_after_s,
        )
    others = _queued().filter(priority__lte=max(priority, Fetch.Priority.API))
    if 0 < settings.MAX_QUEUED <= others.count():
        raise QueueFull(
            f"The queue is full: {settings.MAX_QUEUED} fetches wait. "
            "Nothing was queued. Send the request again later. Stored datasets are still available."
        )


def is_on_its_way(key: DatasetKey) -> bool:
    """Return whether a fetch of the key is queued or running."""
    return _active(key).exists()


def retry_later(fetch_id: int, error: FetchError, *, delay_s: float) -> None:
    """Put a fetch whose attempt failed back into the queue; its next attempt is due in `delay_s` seconds."""
    at = database.now() + timedelta(seconds=delay_s)
    _running(fetch_id).update(
        state=Fetch.State.QUEUED,
        owner="",
        lease_until=None,
        allowed_at=None,
        next_attempt_at=at,
        failures=F("failures") + 1,
        **_error(error),
    )


def wait_for_service(fetch_id: int, error: FetchError, *, delay_s: float) -> None:
    """Put a fetch back into the queue because a part of the service is away; the attempt does not count."""
    _running(fetch_id).update(
        state=Fetch.State.QUEUED,
        owner="",
        lease_until=None,
        allowed_at=None,
        next_attempt_at=database.now() + timedelta(seconds=delay_s),
        attempts=F("attempts") - 1,
        **_error(error),
    )


def give_way(fetch_id: int, owner: str) -> None:
    """Put a fetch whose attempt has called nothing back into the queue; the attempt does not count."""
    _running(fetch_id).filter(owner=owner).update(
        state=Fetch.State.QUEUED,
        owner="",
        lease_until=None,
        allowed_at=None,
        attempts=F("attempts") - 1,
    )


def is_better_queued(fetch: Fetch) -> bool:
    """Return whether a fetch of a better priority is queued and can begin now."""
    queued = _queued().filter(source=fetch.source, priority__lt=fetch.priority)
    return queued.filter(_is_due(database.now())).exists()


def is_better_waiting(fetch: Fetch) -> bool:
    """Return whether a running fetch of a better priority waits for the throttle."""
    waiting = Fetch.objects.filter(state=Fetch.State.RUNNING, allowed_at__isnull=False)
    return waiting.filter(source=fetch.source, priority__lt=fetch.priority).exists()


def n_failures(fetch_id: int) -> int:
    """Return the number of failed attempts; attempts whose worker died do not count."""
    return Fetch.objects.filter(pk=fetch_id).values_list("failures", flat=True).first() or 0


def give_up(fetch_id: int, error: FetchError) -> None:
    """End a fetch as failed."""
    _running(fetch_id).update(
        state=Fetch.State.FAILED,
        owner="",
        lease_until=None,
        allowed_at=None,
        finished_at=database.shared_now(),
        **_error(error),
    )


def cancel(fetch: Fetch) -> bool:
    """Cancel a fetch that is queued or whose worker has died; return whether it was cancelled."""
    is_dead = Q(state=Fetch.State.RUNNING) & leases.is_dead(database.now())
    changed = Fetch.objects.filter(Q(state=Fetch.State.QUEUED) | is_dead, pk=fetch.pk).update(
        state=Fetch.State.CANCELLED, owner="", lease_until=None, finished_at=database.shared_now()
    )
    return bool(changed)


def cancel_all(source: str) -> int:
    """Cancel every queued or running fetch of a source; return their number.

    Used when a source no longer has a worker: nothing else would end these fetches.
    """
    active = Fetch.objects.filter(source=source, state__in=Fetch.ACTIVE)
    return active.update(
        state=Fetch.State.CANCELLED, owner="", lease_until=None, finished_at=database.shared_now()
    )


def next_fetches(*, at_most: int) -> list[int]:
    """Return the primary keys of fetches of this worker's source that can begin now, in turn.

    Within one priority, fetches whose worker has stopped renewing its lease come first. A fetch whose workers died
    in `MAX_CLAIMS` attempts is ended as failed instead.
    """
    now = database.now()
    ours = Fetch.objects.filter(source=settings.TV_SOURCE)
    dead = ours.filter(leases.is_dead(now), state=Fetch.State.RUNNING)
    found = list(dead.order_by(*IN_TURN).values_list("pk", "priority", "attempts")[:at_most])
    hopeless = [pk for pk, _, attempts in found if attempts >= MAX_CLAIMS]
    if hopeless:
        error = WorkerLost(
            "Every worker that started this fetch died. Read the worker's log; the fetch can be tried again."
        )
        ended = {"state": Fetch.State.FAILED, "finished_at": database.shared_now()}
        dead.filter(pk__in=hopeless).update(**ended, **_error(error))
    due = ours.filter(_is_due(now), state=Fetch.State.QUEUED).order_by(*IN_TURN)
    waiting = [(priority, pk) for pk, priority, _ in found if pk not in hopeless]
    waiting += due.values_list("priority", "pk")[:at_most]
    # A stable sort: within one priority the dead ones stay first, and the others in turn.
    waiting.sort(key=lambda each: each[0])
    return [pk for _, pk in waiting[:at_most]]


def _is_due(now: datetime) -> Q:
    """Return the condition for a queued fetch that can begin at `now`."""
    return (
        Q(next_attempt_at=None)
        | Q(next_attempt_at__lte=now)
        | Q(next_attempt_at__gt=now + _LONGEST_PAUSE)
    )


def n_ahead(fetch: Fetch) -> int:
    """Return the number of queued fetches that come before a queued one."""
    same = Q(priority=fetch.priority)
    before = Q(priority__lt=fetch.priority) | same & Q(turn__lt=fetch.turn)
    before |= same & Q(turn=fetch.turn, pk__lt=fetch.pk)
    return _queued().filter(before).count()


def delete_ended(before: datetime, *, dry_run: bool = False) -> int:
    """Delete the rows of fetches that ended before the instant `before`; return their number.

    With `dry_run` the rows are only counted.
    """
    ended = Fetch.objects.exclude(state__in=Fetch.ACTIVE).filter(finished_at__lt=before)
    return database.delete_in_steps(ended, dry_run=dry_run)


def _active(key: DatasetKey) -> QuerySet[Fetch]:
    return Fetch.objects.filter(**key.as_dict(), state__in=Fetch.ACTIVE)


def _queued() -> QuerySet[Fetch]:
    return Fetch.objects.filter(state=Fetch.State.QUEUED)


def _running(fetch_id: int) -> QuerySet[Fetch]:
    return Fetch.objects.filter(pk=fetch_id, state=Fetch.State.RUNNING)


def _error(error: FetchError) -> dict[str, str | bool]:
    return {"error_code": error.code, "error_message": str(error), "retryable": error.retryable}
