"""The pace of clients that ask for live bars."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import pytest

from datasets.live.poll_pace import LONGEST_S, MOST_A_SECOND, SHORTEST_S, PollPace


class Clients:
    """Clients that ask after the seconds of their last reply, on a held clock."""

    def __init__(self, number: int) -> None:
        self.now = 0.0
        self.pace = PollPace(lambda: self.now)
        self._next = [5.0 * n / number for n in range(number)]

    def run(self, seconds: float, *, stay: Callable[[int], bool] = lambda n: True) -> int:
        """Let time pass and return the number of requests; a client for which `stay` is false asks no more."""
        ends, n_requests = self.now + seconds, 0
        self._next = [at for n, at in enumerate(self._next) if stay(n)]
        heapq.heapify(self._next)
        while self._next and self._next[0] < ends:
            self.now = heapq.heappop(self._next)
            self.pace.count()
            n_requests += 1
            heapq.heappush(self._next, self.now + self.pace.seconds)
        self.now = ends
        return n_requests


@pytest.mark.parametrize(("number", "seconds"), [(1, 5), (120, 5), (200, 8), (249, 10), (2000, 10)])
def test_the_pace_follows_the_number_of_clients(number: int, seconds: int) -> None:
    clients = Clients(number)
    clients.run(300)
    assert clients.pace.seconds == seconds
    if number < MOST_A_SECOND * LONGEST_S:
        assert clients.run(120) / 120 <= 1.02 * MOST_A_SECOND


def test_the_pace_is_short_again_after_most_clients_left() -> None:
    clients = Clients(500)
    clients.run(300)
    assert clients.pace.seconds > SHORTEST_S
    clients.run(120, stay=lambda n: n < 50)
    assert clients.pace.seconds == SHORTEST_S


def test_the_pace_of_two_hundred_clients_settles_within_half_a_minute() -> None:
    clients = Clients(200)
    clients.run(30)
    seen = set()
    for _ in range(30):
        clients.run(10)
        seen.add(clients.pace.seconds)
    assert seen == {8}
