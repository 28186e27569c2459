"""Celery's task and the worker's sweep: run the next fetch; retry or end a fetch that failed."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery import bootsteps, shared_task
from celery.concurrency.thread import TaskPool
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, close_old_connections

from datasets import alerts, fetching
from datasets.archive.following.recovery import recover_archives
from datasets.catalog import catalog_table, outputs
from datasets.errors import FetchError, StoreFailed, StoreUnavailable, Unavailable
from datasets.fetching import fetch_queue, retention_policy, workers
from datasets.fetching.leases import GaveWay
from datasets.fetching.schedule import sweep_schedules
from datasets.fetching.wake_up import Waker
from datasets.watchlists import update_schedules

logger = logging.getLogger(__name__)

# One attempt and two retries, over about 10 s with the pauses below.
MAX_ATTEMPTS = 3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# Between two attempts while a part of the service is away; a fetch then goes on soon after its return.
_OUTAGE_PAUSE_S = 4.0
# Threads that read the queue at the same moment find the same rows; each claims the first free one.
_CANDIDATES = 64


@shared_task(name="datasets.fetch")
def fetch(*named: int) -> None:
    """Run the next fetch of the queue, if there is one; messages only wake workers.

    Messages of older versions name a fetch; the argument is ignored.
    """
    with _busy.one_more():
        fetch_next()


def enqueue(fetch_id: int) -> None:
    """Wake a worker; never waits for the broker and never raises its errors."""
    _waker.wake()


def fetch_next() -> bool:
    """Run the best fetch of the queue; return whether there was one.

    A fetch that gives way to a better one does not count: this thread runs the better one.
    """
    try:
        while True:
            with suppress(GaveWay):
                waiting = fetch_queue.next_fetches(at_most=_CANDIDATES)
                return any(attempt(fetch_id) for fetch_id in waiting)
    except Error as error:
        # The row stays queued; a sweep finds the row once the database is back.
        logger.warning("the queue of fetches was not read: %s", error)
        return False


def attempt(fetch_id: int) -> bool:
    """Run one attempt, then retry or end a failed fetch; return False when the claim failed."""
    try:
        return fetching.run_fetch(fetch_id)
    except FetchError as error:
        if isinstance(error, Unavailable) and error.retryable:
            # Our own database, cache or disk is away: that is no failure of the fetch, which waits.
            fetch_queue.wait_for_service(
                fetch_id, error, delay_s=_OUTAGE_PAUSE_S * random.uniform(0.75, 1.25)
            )
            return True
        n_failures = fetch_queue.n_failures(fetch_id) + 1
        if not error.retryable or n_failures >= MAX_ATTEMPTS:
            fetch_queue.give_up(fetch_id, error)
            return True
        # Random parts: workers that were refused together must not come back together.
        pause_s = min(_FIRST_PAUSE_S * 4 ** (n_failures - 1), _LONGEST_PAUSE_S)
        pause_s *= random.uniform(0.75, 1.25)
        if error.retry_after_s is not None:
            pause_s = max(pause_s, error.retry_after_s + random.uniform(0, 2))
        fetch_queue.retry_later(fetch_id, error, delay_s=pause_s)
        return True


def clear_up() -> None:
    """Remove the temporary files of dead workers, and finish or undo their writes of archives."""
    try:
        outputs.get_store().remove_strays()
        catalog_table.remove_strays()
        for key in recover_archives():
            logger.warning("%s: a worker died in its last write, which is finished now", key)
    except OSError as error:
        # Each fetch reports a disk that cannot be written to; the worker still starts.
        logger.warning("temporary files of dead workers were not removed: %s", error)


class _Busy:
    """Counter of this process's threads that run a fetch or are about to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.number = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count the calling thread inside the `with` block."""
        with self._lock:
            self.number += 1
        try:
            yield
        finally:
            with self._lock:
                self.number -= 1


_busy = _Busy()
_waker = Waker(lambda: fetch.apply_async(retry=False))


class Sweeper(bootsteps.StartStopStep):
    """Once a second, gives waiting fetches to idle threads of the worker's pool.

    The rows are the queue and messages only wake workers: a fetch begins also when its message
    was lost, never sent, or received by a worker that died. The sweep runs in a thread,
    because Celery's own timer stops while Celery reconnects to the broker.
    """

    requires = ("celery.worker.components:Pool",)
    _EVERY_S = 1.0
    # Each update of the worker's row is a write.
    _NOTED_EVERY_S = 5.0
    _CATALOG_EVERY_S = 60.0
    _ALERTS_EVERY_S = 2.0
    _SCHEDULES_EVERY_S = 2.0
    # Corrects the schedules after a change of TV_SOURCE, and links those of series that others fetched.
    _PLANNED_EVERY_S = 600.0
    _RETENTION_EVERY_S = 3600.0
    _RETENTION_AFTER_S = 5.0

    def start(self, parent: Any) -> None:
        """Start the sweep, which first removes the traces of dead workers; `parent` is Celery's worker."""
        if not isinstance(parent.pool, TaskPool):
            raise ImproperlyConfigured(
                "This worker runs its fetches in threads; start it without --pool."
            )
        self._pool, self._n_threads = parent.pool, int(parent.concurrency)
        self._name, self._noted = f"{parent.hostname} (process {os.getpid()})", float("-inf")
        self._catalog_looked = self._swept = self._planned = float("-inf")
        self._alerts_checked = float("-inf")
        # Soon after the start, so that the fetches that wait begin first.
        self._retained = time.monotonic() - self._RETENTION_EVERY_S + self._RETENTION_AFTER_S
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._sweep_on, name="sweeper", daemon=True)
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Stop the sweep, so that the pool, which stops next, gets no more fetches."""
        self._is_stopping.set()
        self._thread.join()

    def _sweep_on(self) -> None:
        self._try(clear_up, "the traces of dead workers were not removed")
        while not self._is_stopping.wait(self._EVERY_S):
            close_old_connections()
            self._try(self._note_alive, "the worker's row was not written")
            # A step of its own: a fault of the schedules must not keep people's fetches from the workers.
            self._try(self._sweep_schedules, "the schedules were not read")
            self._try(self._check_alerts, "the alerts were not checked")
            self._try(self._give_fetches, "the queue of fetches was not read")
            self._try(self._write_catalog, "the table of the catalog was not written")
            self._try(self._apply_retention, "the retention policy was not applied")
        with suppress(Error):
            workers.note_end(self._name)
        close_old_connections()

    @staticmethod
    def _try(step: Callable[[], None], failure: str) -> None:
        """Run one step of the sweep; log its error, after which the next sweep does the same step again."""
        try:
            step()
        except (Error, StoreFailed, StoreUnavailable) as error:
            # The database or the disk is busy or away.
            logger.warning("%s: %s", failure, error)
        except Exception:
            # Without this catch the thread would end, and fetches without a message never begin.
            logger.exception(failure)

    def _note_alive(self) -> None:
        if time.monotonic() >= self._noted + self._NOTED_EVERY_S:
            workers.note_alive(self._name)
            self._noted = time.monotonic()

    def _give_fetches(self) -> None:
        n_idle = max(0, self._n_threads - _busy.number)
        for _ in fetch_queue.next_fetches(at_most=n_idle) if n_idle else []:
            self._pool.apply_async(_fetch_next_in_pool, callback=lambda result: None)

    def _check_alerts(self) -> None:
        if time.monotonic() >= self._alerts_checked + self._ALERTS_EVERY_S:
            self._alerts_checked = time.monotonic()
            alerts.check_closed()

    def _write_catalog(self) -> None:
        if time.monotonic() >= self._catalog_looked + self._CATALOG_EVERY_S:
            self._catalog_looked = time.monotonic()
            catalog_table.write_if_changed()

    def _apply_retention(self) -> None:
        """Begin once an hour to delete what the retention policy names, in a thread of its own.

        Large deletions take minutes, in which the sweep has to go on.
        """
        is_time = time.monotonic() >= self._retained + self._RETENTION_EVERY_S
        if not (is_time and retention_policy.is_on()):
            return
        self._retained = time.monotonic()
        threading.Thread(target=_delete_old, name="retention", daemon=True).start()

    def _sweep_schedules(self) -> None:
        """Open the fetches of the watchlists' series that are due; the queue is read right after."""
        now = time.monotonic()
        if now >= self._planned + self._PLANNED_EVERY_S:
            self._planned = now
            update_schedules()
        if now >= self._swept + self._SCHEDULES_EVERY_S:
            self._swept = now
            sweep_schedules()


def _delete_old() -> None:
    """Delete what the retention policy names; the next hour's run continues after an error."""
    try:
        removed = retention_policy.apply()
        if removed:
            logger.info("the retention policy deleted %s", removed)
    except (Error, StoreFailed, StoreUnavailable) as error:
        logger.warning("the retention policy was not applied: %s", error)
    finally:
        close_old_connections()


def _fetch_next_in_pool() -> None:
    """Run the next fetch without a message; close old connections, as Celery does around a task."""
    close_old_connections()
    try:
        with _busy.one_more():
            fetch_next()
    except Exception:
        # The pool would drop the error without logging it.
        logger.exception("a fetch ended with an unexpected error")
    finally:
        close_old_connections()
