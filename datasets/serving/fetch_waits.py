"""Waiting for the end of a fetch, and the error of a fetch that failed."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from django.conf import settings

from datasets import errors
from datasets.errors import FetchError
from datasets.models import Fetch, database

# Seconds between two reads of the fetch's row. The first pause is short, because many fetches
# end within 100 ms.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25
# Most requests of one process that may wait for fetches at one time. The others get a 202 at
# once, so that threads are left for requests of cached bars.
MAX_WAITING = max(1, settings.WEB_THREADS // 4)
_waiting = threading.BoundedSemaphore(MAX_WAITING)


def wait_for(fetch: Fetch, *, wait_s: float) -> Fetch:
    """Return the fetch when it has ended, or as it is after `wait_s` seconds.

    Returns earlier when the next attempt starts after the deadline, and when `MAX_WAITING`
    requests of this process wait already.
    """
    if wait_s <= 0 or fetch.is_finished or not _waiting.acquire(blocking=False):
        return fetch
    try:
        deadline = time.monotonic() + wait_s
        pause_s = _FIRST_PAUSE_S
        while not fetch.is_finished:
            left_s = deadline - time.monotonic()
            retry_at = fetch.next_attempt_at if fetch.error_code else None
            if left_s <= 0 or (
                retry_at and retry_at > database.shared_now() + timedelta(seconds=left_s)
            ):
                break
            database.give_connection_back()
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            fetch.refresh_from_db()
        return fetch
    finally:
        _waiting.release()


def raise_failure(fetch: Fetch) -> None:
    """Raise the error of a fetch that failed, was cancelled, or waits for a retry."""
    if fetch.state == Fetch.State.CANCELLED:
        raise errors.FetchCancelled(
            f"The fetch of {fetch.key} was cancelled; ask again to start another."
        )
    if fetch.error_code and fetch.state in (Fetch.State.FAILED, Fetch.State.QUEUED):
        raise failure(fetch)


def failure(fetch: Fetch) -> FetchError:
    """Return the error that the fetch's row records."""
    error_class = errors.all_codes().get(fetch.error_code, FetchError)
    if not issubclass(error_class, FetchError):
        error_class = FetchError
    error = error_class(fetch.error_message)
    error.subject = str(fetch.key)
    if fetch.next_attempt_at is not None:
        error.retry_after_s = max(
            0.0, (fetch.next_attempt_at - database.shared_now()).total_seconds()
        )
    return error
