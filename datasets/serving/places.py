"""Places for requests that may hold a thread for long, so that threads are left for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from datasets.errors import Busy

# Seconds. The first replies of a new process can take a second or two on a busy machine.
_PATIENCE_S = 3.0


class Places:
    """A number of places. A request without one is refused, or waits while places become free.

    With `patience_s=0` no request waits. Else requests wait until no place has been given back for
    `patience_s`: then all places are stuck, and requests are refused at once until one is given
    back. Otherwise the requests that wait would hold the threads that are left.
    """

    def __init__(self, number: int, sentence: str, *, patience_s: float = _PATIENCE_S) -> None:
        self.number = number
        self._sentence = sentence
        self._patience_s = patience_s
        self._free = threading.BoundedSemaphore(number)
        self._n_given_back = 0
        self._are_stuck = False

    def take(self) -> None:
        """Take a place; raise `Busy` when there is none."""
        seen = self._n_given_back
        while not self._free.acquire(timeout=0 if self._are_stuck else self._patience_s):
            if self._n_given_back == seen:
                self._are_stuck = True
                raise Busy(self._sentence)
            seen = self._n_given_back

    def give_back(self) -> None:
        """Give the place back."""
        self._n_given_back += 1
        self._are_stuck = False
        self._free.release()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place inside the block; raise `Busy` when there is none."""
        self.take()
        try:
            yield
        finally:
            self.give_back()
