"""Thread pool with a limit on the busy threads; threads that wait do not count."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

# A task that runs longer than this is taken to wait, for instance for a slow client.
PATIENCE_S = 0.1
# Idle threads end, because each holds a connection to the database.
IDLE_S = 30.0

logger = logging.getLogger(__name__)


class Threads:
    """Runs tasks in their order of arrival, `n_at_once` at a time.

    A task that calls `about_to_wait`, or runs for `patience_s` while others queue, no longer
    counts, and the next task begins. There are at most `n_threads` threads; a thread that is
    idle for `idle_s` ends.
    """

    def __init__(
        self,
        n_at_once: int,
        n_threads: int,
        *,
        patience_s: float = PATIENCE_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._n_at_once = n_at_once
        self._n_threads = n_threads
        self._patience_s = patience_s
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._tasks: deque[Callable[[], object]] = deque()
        self._is_crowded = threading.Event()
        # Threads that count: those that run a task, with the start of the task, and those just called.
        self._running: dict[int, float] = {}
        self._n_called = 0
        self._n_started = 0
        # One lock for each idle thread; releasing the lock calls the thread. The last one is
        # called first, so that few threads do the work and the others end.
        self._idle: list[threading.Lock] = []
        threading.Thread(target=self._watch, name="request-watch", daemon=True).start()

    def submit(self, task: Callable[[], object]) -> None:
        """Queue the task; a thread runs it as soon as the limit allows."""
        with self._lock:
            self._tasks.append(task)
            self._call_one()

    def about_to_wait(self) -> None:
        """Let the next task begin; does nothing in a thread of another pool."""
        with self._lock:
            self._stop_counting(threading.get_ident())

    # --- with the lock held ---

    def _may_begin(self) -> bool:
        return len(self._running) + self._n_called < self._n_at_once

    def _call_one(self) -> None:
        if not self._may_begin():
            self._is_crowded.set()
        elif self._idle:
            self._n_called += 1
            self._idle.pop().release()
        elif self._n_started < self._n_threads:
            self._n_called += 1
            self._n_started += 1
            threading.Thread(target=self._work, name="request", daemon=True).start()

    def _stop_counting(self, thread: int) -> None:
        if self._running.pop(thread, None) is not None and self._tasks:
            self._call_one()

    # --- in the threads ---

    def _work(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        is_called = True
        while is_called:
            while (task := self._next(bell, is_called=is_called)) is not None:
                is_called = False
                try:
                    task()
                except BaseException:
                    logger.exception("a task failed")
            is_called = self._is_called(bell)

    def _next(self, bell: threading.Lock, *, is_called: bool) -> Callable[[], object] | None:
        """Return the next task if it may begin; else register the thread as idle and return None."""
        me = threading.get_ident()
        with self._lock:
            self._running.pop(me, None)
            self._n_called -= is_called
            if self._tasks and self._may_begin():
                self._running[me] = time.monotonic()
                return self._tasks.popleft()
            self._idle.append(bell)
            return None

    def _is_called(self, bell: threading.Lock) -> bool:
        """Wait for a call; return False when the thread should end."""
        if bell.acquire(timeout=self._idle_s):
            return True
        with self._lock:
            if bell in self._idle:
                self._idle.remove(bell)
                self._n_started -= 1
                return False
        # The call came between the timeout and the lock.
        return bell.acquire()

    def _watch(self) -> None:
        """While tasks queue, stop counting the threads that have run longer than `patience_s`."""
        while True:
            self._is_crowded.wait()
            time.sleep(self._patience_s)
            with self._lock:
                if not self._tasks:
                    self._is_crowded.clear()
                begun_before = time.monotonic() - self._patience_s
                for thread in [who for who, at in self._running.items() if at < begun_before]:
                    self._stop_counting(thread)
