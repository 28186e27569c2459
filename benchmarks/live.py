"""Two hundred clients that watch live bars: what they cost the web process.

Each client asks every five seconds, as the page does, with the `ETag` of its last reply. A worker and
the live connection run beside the web server, with the sample feed. The same clients then read `/healthz` and cached
bars of `ohlc` at the same pace: the first is the price of any request, the second that of the cheapest read.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from benchmarks.measurement import machine, publish, table
from benchmarks.web_server import cpu_s_of
from tests.support.stacks import Feed, Stack, wait_until

_N_WATCHERS = 200
_N_SERIES = 20
_PERIOD_S = 5.0
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
    rows = [[name, *_cost_of(web, urls)] for name, urls in kinds.items()]
    headings = ["", "requests a second", "304", "processor time a request", "of one core"]
    text = (
        f"{_N_WATCHERS} clients watch {_N_SERIES} series for {_SECONDS:g} s and ask every {_PERIOD_S:g} s. "
        "The sample feed changes each series every 5 s, so that nearly no\nreply is a 304. One web process. The other "
        f"lines are requests of the same clients at the same pace ({machine()}).\n\n{table(headings, rows)}"
    )
    publish("Live bars", text)


def _cost_of(web: int, addresses: list[str]) -> list[str]:
    """Return requests a second, the share of 304, the processor's time of a request, and that of one core."""
    with ThreadPoolExecutor(_N_WATCHERS) as pool:
        cpu_s, started = cpu_s_of(web), time.perf_counter()
        watched = [(addresses[n % len(addresses)], n) for n in range(_N_WATCHERS)]
        counts = list(pool.map(lambda pair: _watch(*pair), watched))
        taken_s = time.perf_counter() - started
        cpu_s = cpu_s_of(web) - cpu_s
    n_asked, n_same = (sum(values) for values in zip(*counts, strict=True))
    return [
        f"{n_asked / taken_s:.0f}", f"{100 * n_same / n_asked:.0f} %",
        f"{1000 * cpu_s / n_asked:.2f} ms", f"{100 * cpu_s / taken_s:.1f} %",
    ]  # fmt: skip


def _address(stack: Stack, symbol: str) -> str:
    """Fetch a series and return the address of its live bars."""
    stack.get("ohlc", symbol=symbol, timeframe="1", n_bars=200, wait=60).raise_for_status()
    (row,) = stack.get("series", symbol=symbol.partition(":")[2]).json()["results"]
    return f"{stack.url}/api/tv/series/{row['id']}/live"


def _watch(address: str, number: int) -> tuple[int, int]:
    """Ask as a page does; return the number of requests and of unchanged replies."""
    n_asked = n_same = 0
    tag, since = "", ""
    ends = time.perf_counter() + _SECONDS
    # The clients do not ask at one instant.
    time.sleep(_PERIOD_S * number / _N_WATCHERS)
    with requests.Session() as session:
        while time.perf_counter() < ends:
            reply = session.get(
                address, params={"since": since} if since else {}, headers={"If-None-Match": tag}, timeout=30
            )  # fmt: skip
            n_asked += 1
            n_same += reply.status_code == 304
            tag = reply.headers.get("ETag", "")
            if reply.status_code == 200 and "/live" in address:
                since = reply.json()["ohlc"][-1]["time"]
            time.sleep(_PERIOD_S)
    return n_asked, n_same


if __name__ == "__main__":
    main()
