"""The pace of live requests: seconds until a client's next request, longer where many clients watch."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from time import monotonic

SHORTEST_S = 5
# A single client that ignores the pace can slow down all others no further than this.
LONGEST_S = 10
# Requests of all clients to one web process. Each costs about two milliseconds of the processor.
MOST_A_SECOND = 25
# Requests are counted over two paces, in each of which every client asks once.
_COUNTED_PACES = 2


class PollPace:
    """Seconds between two requests of one client, so that many clients send about `MOST_A_SECOND`.

    Up to 125 clients keep the shortest pace of 5 s, 200 clients get 8 s, and 250 or more the
    longest, 10 s. Each web process counts its own requests.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.seconds = SHORTEST_S
        self._clock = clock
        self._counts_from = clock()
        self._n_requests = 0
        self._lock = Lock()

    def count(self) -> None:
        """Count a request; once in two paces the pace follows from the number of requests."""
        now = self._clock()
        with self._lock:
            if now >= self._counts_from + _COUNTED_PACES * self.seconds:
                self._set(now, n_clients=self._n_requests / _COUNTED_PACES)
            elif now >= self._counts_from:
                self._n_requests += 1

    def _set(self, now: float, n_clients: float) -> None:
        # Clients reach the new pace with their next request, so the requests until then say nothing about it.
        self._counts_from = now + self.seconds
        self._n_requests = 0
        self.seconds = min(LONGEST_S, max(SHORTEST_S, math.ceil(n_clients / MOST_A_SECOND)))


pace = PollPace()
