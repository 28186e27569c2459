"""The queue of fetches: one row for each that is asked for, and what becomes of it.

Every change is a guarded update, so that two who act at once never undo each other's.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from datasets import database, leases
from datasets.bars import DatasetKey
from datasets.errors import FetchError, StoreFailed, WorkerLost
from datasets.models import Fetch

# Attempts that were begun; past it a fetch whose workers keep dying is given up.
MAX_CLAIMS = 8
_AT_A_TIME = 500
# A queued fetch of which nothing was heard for so long has lost its message.
_FORGOTTEN_AFTER = timedelta(seconds=60)
# No failed attempt is followed by a longer pause.
_LONGEST_PAUSE = timedelta(hours=1)


def open_fetch(key: DatasetKey, *, via: str, by: str = "") -> tuple[Fetch, bool]:
    """Return the key's queued or running fetch, and whether this call has made it.

    However many ask at once, one row is made: the others get the same one.
    """
    for _ in range(3):
        try:
            with transaction.atomic():
                return Fetch.objects.create(
                    **key.as_dict(), requested_via=via, requested_by=by[:150]
                ), True
        except IntegrityError:
            # There is one already; unless it has ended meanwhile, it is found now.
            found = _active(key).first()
            if found is not None:
                return found, False
    raise StoreFailed(f"The fetch of {key} could not be queued; try again.")


def is_on_its_way(key: DatasetKey) -> bool:
    """Return whether a fetch of the key is queued or running."""
    return _active(key).exists()


def retry_later(fetch_id: int, error: FetchError, *, delay_s: float) -> None:
    """Put a failed attempt's fetch back into the queue, to be tried after `delay_s` seconds."""
    at = timezone.now() + timedelta(seconds=delay_s)
    _running(fetch_id).update(
        state=Fetch.State.QUEUED,
        owner="",
        lease_until=None,
        allowed_at=None,
        next_attempt_at=at,
        enqueued_at=at,
        **_error(error),
    )


def give_up(fetch_id: int, error: FetchError) -> None:
    """End a fetch as failed."""
    _running(fetch_id).update(
        state=Fetch.State.FAILED,
        owner="",
        lease_until=None,
        allowed_at=None,
        finished_at=timezone.now(),
        **_error(error),
    )


def cancel(fetch: Fetch) -> bool:
    """Cancel a fetch that is queued, or whose worker has died; return whether it was."""
    is_dead = Q(state=Fetch.State.RUNNING) & leases.is_dead(database.now())
    changed = Fetch.objects.filter(Q(state=Fetch.State.QUEUED) | is_dead, pk=fetch.pk).update(
        state=Fetch.State.CANCELLED, owner="", lease_until=None, finished_at=timezone.now()
    )
    return bool(changed)


def cancel_all(source: str) -> int:
    """Cancel every fetch of a source that is queued or running; return how many.

    For a source that has no worker any more: nothing would ever end these fetches.
    """
    active = Fetch.objects.filter(source=source, state__in=Fetch.ACTIVE)
    return active.update(
        state=Fetch.State.CANCELLED, owner="", lease_until=None, finished_at=timezone.now()
    )


def lost_fetches(*, at_most: int) -> list[int]:
    """Return the fetches that no worker seems to know of, and mark them as handed out now.

    A queued one whose message went down with a worker, and a running one whose worker has
    stopped renewing its lease. A fetch whose workers keep dying is given up. Fetches of
    another source are left to the workers of that source.
    """
    now = database.now()
    ours = Fetch.objects.filter(source=settings.TV_SOURCE)
    is_dead = Q(state=Fetch.State.RUNNING) & leases.is_dead(now)
    ours.filter(is_dead, attempts__gte=MAX_CLAIMS).update(
        state=Fetch.State.FAILED,
        finished_at=now,
        **_error(
            WorkerLost(
                "Every worker that fetched it died. See the worker's log; it can be tried again."
            )
        ),
    )
    is_forgotten = Q(state=Fetch.State.QUEUED) & _not_heard_of(now, _FORGOTTEN_AFTER)
    due = _not_heard_of(now, timedelta(seconds=5))
    lost = list(
        ours.filter((is_dead & due) | is_forgotten)
        .order_by("enqueued_at")
        .values_list("pk", flat=True)[:at_most]
    )
    # A guarded update, so that two sweepers do not hand out the same row twice.
    return [pk for pk in lost if Fetch.objects.filter(due, pk=pk).update(enqueued_at=now)]


def _not_heard_of(now: datetime, since: timedelta) -> Q:
    """Return the condition that a fetch was handed out longer ago than that.

    Or in a future that is none: by a clock that has been put back since.
    """
    is_old = Q(enqueued_at__lt=now - since)
    is_ahead = Q(next_attempt_at=None, enqueued_at__gt=now + since)
    return is_old | is_ahead | Q(enqueued_at__gt=now + _LONGEST_PAUSE)


def hand_back(fetch_id: int) -> None:
    """Let the next sweep find a queued fetch of another source, whose message came to this worker."""
    forgotten_at = timezone.now() - 2 * _FORGOTTEN_AFTER
    Fetch.objects.filter(pk=fetch_id, state=Fetch.State.QUEUED).exclude(
        source=settings.TV_SOURCE
    ).update(enqueued_at=forgotten_at)


def forget_ended(before: datetime, *, dry_run: bool = False) -> int:
    """Delete the rows of fetches that ended before that instant; return how many.

    A few at a time, because who writes meanwhile waits for each of them.
    """
    ended = Fetch.objects.exclude(state__in=Fetch.ACTIVE).filter(finished_at__lt=before)
    if dry_run:
        return ended.count()
    n_deleted = 0
    while some := list(ended.order_by("pk").values_list("pk", flat=True)[:_AT_A_TIME]):
        n_deleted += Fetch.objects.filter(pk__in=some).delete()[0]
    return n_deleted


def _active(key: DatasetKey) -> QuerySet[Fetch]:
    return Fetch.objects.filter(**key.as_dict(), state__in=Fetch.ACTIVE)


def _running(fetch_id: int) -> QuerySet[Fetch]:
    return Fetch.objects.filter(pk=fetch_id, state=Fetch.State.RUNNING)


def _error(error: FetchError) -> dict[str, str | bool]:
    return {"error_code": error.code, "error_message": str(error), "retryable": error.retryable}
