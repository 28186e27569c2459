"""Celery: make the fetch whose turn it is, and turn its error into a retry or an end."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery import bootsteps, shared_task
from celery.concurrency.thread import TaskPool
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, close_old_connections

from datasets import fetching
from datasets.catalog import outputs
from datasets.errors import FetchError
from datasets.fetching import fetch_queue, workers
from datasets.fetching.wake_up import Waker

logger = logging.getLogger(__name__)

# The first attempt and two more: with the pauses below about 10 s, then somebody should look.
MAX_ATTEMPTS = 3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# Threads that look at the same moment find the same rows: each takes the first that is free.
_CANDIDATES = 64


@shared_task(name="datasets.fetch")
def fetch(*named: int) -> None:
    """Make the next fetch, if there is one; the message says no more than that.

    Messages of older versions name a fetch, which has its turn like the others.
    """
    with _busy.one_more():
        fetch_next()


def enqueue(fetch_id: int) -> None:
    """Wake a worker for the fetch; never waits for the broker, and never fails with it."""
    _waker.wake()


def fetch_next() -> bool:
    """Make the fetch whose turn it is; return whether there was one."""
    try:
        waiting = fetch_queue.next_fetches(at_most=_CANDIDATES)
        return any(attempt(fetch_id) for fetch_id in waiting)
    except Error as error:
        # The fetch stays on its row; a sweep finds the row once the database is back.
        logger.warning("the queue of fetches was not read: %s", error)
        return False


def attempt(fetch_id: int) -> bool:
    """Try a fetch once, and say what becomes of it; return False when it was not ours to take."""
    try:
        return fetching.run_fetch(fetch_id)
    except FetchError as error:
        n_failures = fetch_queue.n_failures(fetch_id) + 1
        if error.retryable and n_failures < MAX_ATTEMPTS:
            fetch_queue.retry_later(fetch_id, error, delay_s=_pause_s(error, n_failures))
        else:
            fetch_queue.give_up(fetch_id, error)
        return True


def _pause_s(error: FetchError, n_failures: int) -> float:
    pause_s: float = min(_FIRST_PAUSE_S * 4 ** (n_failures - 1), _LONGEST_PAUSE_S)
    # Jitter, so that workers refused together do not come back together.
    pause_s *= random.uniform(0.75, 1.25)
    if error.retry_after_s is not None:
        pause_s = max(pause_s, error.retry_after_s + random.uniform(0, 2))
    return pause_s


class _Busy:
    """Number of this process's threads that make a fetch, or are about to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.number = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count the calling thread."""
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
    """Gives waiting fetches to threads that have nothing to do, once a second.

    Rows are the queue and messages only wake, so a fetch whose message was never sent, was
    lost or went to a worker that died begins all the same. A thread of its own, because
    Celery's timer stands still while Celery looks for its broker.
    """

    requires = ("celery.worker.components:Pool",)
    _EVERY_S = 1.0
    # Each time is a write.
    _NOTED_EVERY_S = 5.0

    def start(self, parent: Any) -> None:
        """Clear up after dead workers, and begin sweeping; `parent` is Celery's worker."""
        if not isinstance(parent.pool, TaskPool):
            raise ImproperlyConfigured(
                "This worker makes its fetches in threads; start it without --pool."
            )
        try:
            outputs.get_store().remove_strays()
        except OSError as error:
            # A disk that cannot be written to is for each fetch to say.
            logger.warning("temporary files of dead workers were not removed: %s", error)
        self._pool, self._n_threads = parent.pool, int(parent.concurrency)
        self._name, self._noted = f"{parent.hostname} (process {os.getpid()})", float("-inf")
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._sweep_on, name="sweeper", daemon=True)
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """End sweeping; from now on nothing is given to the pool, which is about to stop."""
        self._is_stopping.set()
        self._thread.join()

    def _sweep_on(self) -> None:
        while not self._is_stopping.wait(self._EVERY_S):
            close_old_connections()
            try:
                if time.monotonic() >= self._noted + self._NOTED_EVERY_S:
                    workers.note_alive(self._name)
                    self._noted = time.monotonic()
                self._sweep()
            except Error as error:
                # The database is busy or away; the next sweep finds what this one did not.
                logger.warning("waiting fetches were not looked for: %s", error)
            except Exception:
                # The thread's outer edge: without it no lost fetch is found any more.
                logger.exception("waiting fetches were not looked for")
        with suppress(Error):
            workers.note_end(self._name)
        close_old_connections()

    def _sweep(self) -> None:
        n_idle = self._n_threads - _busy.number
        if n_idle > 0:
            for _ in fetch_queue.next_fetches(at_most=n_idle):
                self._pool.apply_async(_fetch_next_in_pool, callback=_ignore)


def _fetch_next_in_pool() -> None:
    """Do what a message would have the thread do, with what Celery does around it."""
    close_old_connections()
    try:
        with _busy.one_more():
            fetch_next()
    except Exception:
        # The thread's outer edge: the pool would keep the error to itself.
        logger.exception("a fetch ended by an error that is not foreseen")
    finally:
        close_old_connections()


def _ignore(result: object) -> None:
    """Take the pool's word that a thread is done."""
