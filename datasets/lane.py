"""Lets the requests of one web process run one after another, for as long as each is quick.

Threads share one interpreter: eight that want it at once get half as much done as one, and
take turns every 5 ms, so each is late. Yet a process has many threads, because some
requests wait; who is slow is overtaken, and who is about to wait leaves the lane.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

# Whoever has the lane for longer than this is overtaken. A cached reply takes 1 ms.
PATIENCE_S = 0.02


class Lane:
    """One at a time, in the order of arrival, but never behind somebody slow."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        # Who waits and who runs are told apart by locks of their own: to be let in is to have
        # one's lock released.
        self._waiting: deque[threading.Lock] = deque()
        self._running: threading.Lock | None = None
        self._since = 0.0
        self._mine = threading.local()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for this thread's turn, and end it at the end of the block."""
        self._mine.turn = turn = threading.Lock()
        self._enter(turn)
        try:
            yield
        finally:
            self.leave()

    def leave(self) -> None:
        """End this thread's turn now, before it waits for something; nothing if it has none."""
        turn = getattr(self._mine, "turn", None)
        with self._lock:
            # Else it has been overtaken, or has no turn.
            if turn is not None and turn is self._running:
                self._let_in(self._waiting.popleft() if self._waiting else None)
        self._mine.turn = None

    def _enter(self, turn: threading.Lock) -> None:
        with self._lock:
            if self._running is None:
                self._let_in(turn)
                return
            turn.acquire()
            self._waiting.append(turn)
            ahead = len(self._waiting)
        # The first in line looks soonest whether the way is blocked; mostly nobody has to.
        while not turn.acquire(timeout=self._patience_s * ahead):
            ahead = 1
            self._overtake(turn)

    def _overtake(self, turn: threading.Lock) -> None:
        with self._lock:
            is_slow = time.monotonic() - self._since > self._patience_s
            if is_slow and turn is not self._running:
                self._waiting.remove(turn)
                self._let_in(turn)

    def _let_in(self, turn: threading.Lock | None) -> None:
        self._running = turn
        self._since = time.monotonic()
        if turn is not None and turn.locked():
            turn.release()


lane = Lane()
