"""Two hundred clients that watch live bars: what they cost the web process.

Each client asks every five seconds, as the page does, with the `ETag` of its last reply. A worker and
the live connection run beside the web server, with the sample feed.
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
    """Open all series, then let all clients ask for `_SECONDS`."""
    addresses = [_address(stack, symbol) for symbol in _SYMBOLS]
    wait_until(
        lambda: all(requests.get(one, timeout=9).json()["state"] == "live" for one in addresses),
        seconds=120,
        what="the live state of all series",
    )
    with ThreadPoolExecutor(_N_WATCHERS) as pool:
        cpu_s, started = cpu_s_of(web), time.perf_counter()
        counts = list(pool.map(lambda n: _watch(addresses[n % _N_SERIES], n), range(_N_WATCHERS)))
        taken_s = time.perf_counter() - started
        cpu_s = cpu_s_of(web) - cpu_s
    n_asked, n_same = (sum(values) for values in zip(*counts, strict=True))
    rows = [
        [
            str(_N_WATCHERS), str(_N_SERIES), f"{n_asked / taken_s:.0f}", f"{100 * n_same / n_asked:.0f} %",
            f"{1000 * cpu_s / n_asked:.2f} ms", f"{100 * cpu_s / taken_s:.1f} %",
        ]
    ]  # fmt: skip
    headings = [
        "clients", "series", "requests a second", "304", "processor time a request", "of one core",
    ]  # fmt: skip
    text = (
        f"{_N_WATCHERS} clients watch {_N_SERIES} series for {_SECONDS:g} s and ask every {_PERIOD_S:g} s. "
        "The sample feed changes each series every 5 s, so that nearly no\nreply is a 304. "
        f"One web process ({machine()}).\n\n{table(headings, rows)}"
    )
    publish("Live bars", text)


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
            tag = reply.headers["ETag"]
            if reply.status_code == 200:
                since = reply.json()["ohlc"][-1]["time"]
            time.sleep(_PERIOD_S)
    return n_asked, n_same


if __name__ == "__main__":
    main()
