"""Two hundred clients that watch live bars: what they cost the web process.

Each client asks as the page does: after the `poll_s` of its last reply, with its `ETag`. A worker and
the live connection run beside the web server, with the sample feed. The same clients then read `/healthz` and cached
bars of `ohlc` at the same pace: the first is the price of any request, the second that of the cheapest read.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests

from benchmarks.measurement import machine, publish, table
from benchmarks.web_server import cpu_s_of
from tests.support.stacks import Feed, Stack, wait_until

_N_WATCHERS = 200
_N_SERIES = 20
# Until a reply gives another period.
_PERIOD_S = 5.0
# The replies need this long to give the period that fits the number of clients.
_SETTLING_S = 60.0
_SECONDS = 30.0
_SYMBOLS = [f"LOAD:LIVE{number}" for number in range(_N_SERIES)]


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        feed = Feed(folder)
        stack = Stack(folder, feed, TV_LIVE="1", TV_LIVE_SERIES=str(_N_SERIES))
        web = stack.start_web().process.pid
        stack.start_worker(concurrency=4)
        stack.start_live()
        try:
            measure(stack, web)
        finally:
            stack.stop()
            feed.stop()


def measure(stack: Stack, web: int) -> None:
    """Open all series, then let all clients ask for `_SECONDS`, in turns with two cheap requests."""
    addresses = [_address(stack, symbol) for symbol in _SYMBOLS]
    wait_until(
        lambda: all(requests.get(one, timeout=9).json()["state"] == "live" for one in addresses),
        seconds=120,
        what="the live state of all series",
    )
    query = "timeframe=1&n_bars=2&max_age=86400"
    kinds = {
        "live bars": addresses,
        "`ohlc`, 2 cached bars": [f"{stack.url}/api/tv/ohlc?symbol={each}&{query}" for each in _SYMBOLS],
        "`/healthz`": [f"{stack.url}/healthz"],
    }  # fmt: skip
    costs, poll_s = {}, _PERIOD_S
    for name, urls in kinds.items():
        costs[name], poll_s = _cost_of(web, urls, poll_s)
    rows = [[name, *cost] for name, cost in costs.items()]
    headings = ["", "requests a second", "304", "processor time a request", "of one core"]
    text = (
        f"{_N_WATCHERS} clients watch {_N_SERIES} series for {_SECONDS:g} s and ask after the `poll_s` of their last "
        f"reply, which is {poll_s:g} then. The sample feed changes each series every 5 s, so that nearly no reply is a 304. "
        f"One web process. The other lines are requests of the same clients at the same pace ({machine()}).\n\n"
        f"{table(headings, rows)}"
    )
    publish("Live bars", text)


def _cost_of(web: int, addresses: list[str], poll_s: float) -> tuple[list[str], float]:
    """Return the cells of a line, once the clients have settled, and the period of the clients at the end.

    The cells are requests a second, the share of 304, the processor's time of a request, and that of one core.
    """
    watchers = [_Watcher(addresses[n % len(addresses)], poll_s) for n in range(_N_WATCHERS)]
    ends = time.perf_counter() + _SETTLING_S + _SECONDS
    with ThreadPoolExecutor(_N_WATCHERS) as pool:
        for n, watcher in enumerate(watchers):
            # The clients do not ask at one instant.
            pool.submit(watcher.watch, poll_s * n / _N_WATCHERS, ends)
        time.sleep(_SETTLING_S)
        before = (cpu_s_of(web), *_counts(watchers))
        time.sleep(_SECONDS)
        after = (cpu_s_of(web), *_counts(watchers))
    cpu_s, n_asked, n_same = (late - early for late, early in zip(after, before, strict=True))
    cells = [
        f"{n_asked / _SECONDS:.0f}", f"{100 * n_same / n_asked:.0f} %",
        f"{1000 * cpu_s / n_asked:.2f} ms", f"{100 * cpu_s / _SECONDS:.1f} %",
    ]  # fmt: skip
    return cells, median(watcher.poll_s for watcher in watchers)


def _counts(watchers: list[_Watcher]) -> tuple[int, int]:
    return sum(each.n_asked for each in watchers), sum(each.n_same for each in watchers)


def _address(stack: Stack, symbol: str) -> str:
    """Fetch a series and return the address of its live bars."""
    stack.get("ohlc", symbol=symbol, timeframe="1", n_bars=200, wait=60).raise_for_status()
    (row,) = stack.get("series", symbol=symbol.partition(":")[2]).json()["results"]
    return f"{stack.url}/api/tv/series/{row['id']}/live"


class _Watcher:
    """A client that asks as a page does, and counts its requests and the unchanged replies."""

    def __init__(self, address: str, poll_s: float) -> None:
        self.address = address
        self.poll_s = poll_s
        self.n_asked = self.n_same = 0

    def watch(self, delay_s: float, ends: float) -> None:
        """Ask from `delay_s` on until `ends`."""
        time.sleep(delay_s)
        tag, since = "", ""
        with requests.Session() as session:
            while time.perf_counter() < ends:
                reply = session.get(
                    self.address, params={"since": since} if since else {}, headers={"If-None-Match": tag}, timeout=30
                )  # fmt: skip
                self.n_asked += 1
                self.n_same += reply.status_code == 304
                tag = reply.headers.get("ETag", "")
                if reply.status_code == 200 and "/live" in self.address:
                    body = reply.json()
                    since, self.poll_s = body["ohlc"][-1]["time"], body["poll_s"]
                time.sleep(self.poll_s)


if __name__ == "__main__":
    main()
