"""A load on many hosts: readers of cached bars, and new fetches, each with its outcome."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import requests

# Seconds. A client that waits longer has lost its patience.
_PATIENCE_S = 8.0
_READ_EVERY_S = 0.05
_FETCH_EVERY_S = 0.25


@dataclass(slots=True)
class Seen:
    """What the readers of one web host saw: replies by status, and the longest time without a 200."""

    statuses: Counter[str] = field(default_factory=Counter)
    longest_pause_s: float = 0.0


class Load:
    """Readers and a client that requests fetches, inside the `with` block.

    Two readers read one cached dataset from each web host. One client requests a fetch of a new
    symbol every 0.25 s from the hosts in turn, and from the other host where one gives no answer.

    Parameters
    ----------
    urls
        The addresses of the web hosts.
    cached
        The query of a dataset that is cached.
    prefix
        The beginning of the new symbols.
    """

    def __init__(self, urls: Sequence[str], cached: dict[str, str], prefix: str) -> None:
        self._urls, self._cached, self._prefix = urls, cached, prefix
        self._is_ending = threading.Event()
        self._lock = threading.Lock()
        self._last_ok = [time.monotonic()] * len(urls)
        self._any_ok = time.monotonic()
        self.seen = [Seen() for _ in urls]
        # Of a reader that tries the other host at once.
        self.longest_pause_s = 0.0
        # The number of each accepted fetch, by its symbol.
        self.accepted: dict[str, int] = {}
        self.n_refused = 0
        readers = [(self._read, number) for number in range(len(urls)) for _ in range(2)]
        self._threads = [
            threading.Thread(target=work, args=(number,), daemon=True)
            for work, number in [*readers, (self._fetch, 0)]
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_ending.set()
        for thread in self._threads:
            thread.join(3 * _PATIENCE_S)
        for number in range(len(self._urls)):
            self._note(number, is_ok=True)

    def _read(self, number: int) -> None:
        session = requests.Session()
        while not self._is_ending.wait(_READ_EVERY_S):
            try:
                reply = session.get(
                    f"{self._urls[number]}/api/tv/ohlc", params=self._cached, timeout=_PATIENCE_S
                )
                status = str(reply.status_code)
            except requests.Timeout:
                status = "no reply"
            except requests.RequestException:
                status = "no connection"
            self._note(number, status, is_ok=status == "200")

    def _note(self, number: int, status: str = "", *, is_ok: bool) -> None:
        with self._lock:
            seen, now = self.seen[number], time.monotonic()
            if status:
                seen.statuses[status] += 1
            if is_ok:
                seen.longest_pause_s = max(seen.longest_pause_s, now - self._last_ok[number])
                self.longest_pause_s = max(self.longest_pause_s, now - self._any_ok)
                self._last_ok[number] = self._any_ok = now

    def _fetch(self, first: int) -> None:
        number = first
        while not self._is_ending.wait(_FETCH_EVERY_S):
            number += 1
            symbol = f"LOAD:{self._prefix}{number}"
            body = {"symbols": [symbol], "n_bars": 50}
            for turn in range(len(self._urls)):
                url = self._urls[(number + turn) % len(self._urls)]
                with suppress(requests.RequestException):
                    reply = requests.post(f"{url}/api/tv/fetches", json=body, timeout=_PATIENCE_S)
                    if reply.status_code in (200, 201, 202):
                        fetch = reply.json()["fetches"][0]
                        self.accepted[symbol] = fetch["id"]
                        break
                self.n_refused += 1
