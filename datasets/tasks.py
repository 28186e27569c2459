"""Celery: do the fetch, and turn its error into a retry or an end."""

from __future__ import annotations

import logging
import random
from typing import Any

from celery import Task, bootsteps, shared_task
from django.db import OperationalError, connections

from datasets import fetch_queue, fetching
from datasets.errors import FetchError

logger = logging.getLogger(__name__)

# The first attempt and two more: with the pauses below about 10 s, then somebody should look.
MAX_ATTEMPTS = 3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


@shared_task(bind=True, max_retries=MAX_ATTEMPTS - 1, name="datasets.fetch")
def fetch(self: Task[Any, None], fetch_id: int) -> None:
    """Do one fetch; try again, later and later, where that can help."""
    try:
        fetching.run_fetch(fetch_id)
    except FetchError as error:
        if not error.retryable or self.request.retries >= MAX_ATTEMPTS - 1:
            fetch_queue.give_up(fetch_id, error)
            return
        pause_s = _pause_s(error, self.request.retries)
        fetch_queue.retry_later(fetch_id, error, delay_s=pause_s)
        raise self.retry(countdown=pause_s, exc=error) from error


def _pause_s(error: FetchError, n_retries: int) -> float:
    pause_s: float = min(_FIRST_PAUSE_S * 4**n_retries, _LONGEST_PAUSE_S)
    # Jitter, so that workers refused together do not come back together.
    pause_s *= random.uniform(0.75, 1.25)
    if error.retry_after_s is not None:
        pause_s = max(pause_s, error.retry_after_s + random.uniform(0, 2))
    return pause_s


def enqueue(fetch_id: int) -> None:
    """Hand the fetch to the workers."""
    fetch.delay(fetch_id)


def resend_lost_fetches() -> int:
    """Hand the fetches that no worker knows of to the workers again; return how many."""
    lost = fetch_queue.lost_fetches(at_most=10)
    for fetch_id in lost:
        logger.warning("fetch %s: no worker has it; queued again", fetch_id)
        enqueue(fetch_id)
    return len(lost)


class Sweeper(bootsteps.StartStopStep):
    """Looks for lost fetches when a worker starts, and every few seconds after that.

    The broker is only a bell: what is to be done stands in the catalog, so a message that
    went down with a worker loses nothing.
    """

    # After the pool: its processes are forked from this one, and must not inherit a lock that
    # the timer's thread happens to hold.
    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")
    _EVERY_S = 5.0

    def start(self, parent: Any) -> None:
        """Clear up after dead workers, and begin sweeping; `parent` is Celery's worker."""
        try:
            fetching.get_store().remove_strays()
        except OSError as error:
            # A disk that cannot be written to is for each fetch to say.
            logger.warning("temporary files of dead workers were not removed: %s", error)
        self._entry = parent.timer.call_repeatedly(self._EVERY_S, self._sweep)
        parent.timer.call_after(0.1, self._sweep)

    def stop(self, parent: Any) -> None:
        """End sweeping."""
        self._entry.cancel()

    def _sweep(self) -> None:
        try:
            resend_lost_fetches()
        except OperationalError as error:
            # The database is busy or away; the next sweep finds what this one did not.
            logger.warning("lost fetches were not looked for: %s", error)
        finally:
            connections.close_all()
