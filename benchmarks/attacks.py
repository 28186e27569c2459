"""Attacks on the web server: the times of a cached read and of `/healthz` beside slow and silent clients."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks import load
from benchmarks.measurement import machine, publish, table
from benchmarks.serving import GZIP, ohlc, run_part
from benchmarks.web_server import Server
from tests.support.stacks import Feed, Stack

SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))


def connect(port: int, start: bytes) -> socket.socket:
    """Return a connection that has sent `start`; its window is small."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(5)
    client.connect(("127.0.0.1", port))
    client.sendall(start)
    return client


@contextmanager
def clients(port: int, number: int, start: str, drip: bytes = b"") -> Iterator[None]:
    """Hold `number` connections that sent `start`, and send `drip` on each once a second."""
    with ExitStack() as stack:
        held = [stack.enter_context(connect(port, start.encode())) for _ in range(number)]
        is_over = threading.Event()

        def send() -> None:
            while drip and not is_over.wait(1):
                for client in held:
                    # The server may have closed it, which is what it should do.
                    with suppress(OSError):
                        client.send(drip)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(send)
            try:
                yield
            finally:
                is_over.set()


def post(path: str) -> str:
    """Return a request whose body is announced and not sent."""
    kind = "application/json" if "api" in path else "application/x-www-form-urlencoded"
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: 5000\r\n\r\n"


def get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


Crowd = tuple[int, str, bytes]
_SLOW_BODIES: Crowd = (300, post("/api/tv/fetches"), b"x")
_WAITERS: Crowd = (500, get("/api/tv/ohlc?symbol=LOAD:NOBODY&wait=30"), b"")

ATTACKS: dict[str, list[Crowd]] = {
    "nothing": [],
    "300 that send a body byte by byte": [_SLOW_BODIES],
    "300 that sign in byte by byte": [(300, post("/login/"), b"x")],
    "1,200 idle connections": [(1200, "", b"")],
    "500 that send half of the headers": [(500, "GET / HTTP/1.1\r\nHost: 127.0", b"")],
    "200 that do not read large replies": [(200, get(ohlc("B40000", 40000)), b"")],
    "500 that wait for a fetch": [_WAITERS],
    "300 slow bodies, 500 that wait, 200 idle": [_SLOW_BODIES, _WAITERS, (200, "", b"")],
}


def measure(server: Server) -> list[list[str]]:
    """Return a row for each attack."""
    bars = ohlc("B5000", 5000)
    cases: list[tuple[str, Callable[[], load.Load]]] = [
        ("bars", lambda: load.run(server.port, bars, headers=GZIP, connections=2, seconds=SECONDS)),
        ("healthz", lambda: load.run(server.port, "/healthz", connections=1, seconds=SECONDS)),
    ]
    rows = []
    for name, crowds in ATTACKS.items():
        with ExitStack() as stack:
            for crowd in crowds:
                stack.enter_context(clients(server.port, *crowd))
            time.sleep(1.5)
            shown = [name]
            for _, run in cases:
                try:
                    found = run()
                    shown += [
                        str(found.status),
                        f"{found.requests_per_s:,.0f}",
                        f"{found.p50_ms:.1f}",
                        f"{found.p99_ms:.1f}",
                    ]
                except OSError as error:
                    shown += ["-", "0", type(error).__name__, "-"]
            rows.append([*shown, f"{server.memory_mb():.0f}"])
        print(*rows[-1], sep=" | ", flush=True)
        time.sleep(1)
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        feed = Feed(Path(name))
        stack = Stack(Path(name), feed)
        os.environ.update(stack.env)
        try:
            run_part("fill", stack=stack)
            server = Server(stack)
            try:
                rows = measure(server)
            finally:
                server.stop()
        finally:
            stack.stop()
            feed.stop()
    headings = ["beside", "status", "cached reads/s", "p50 ms", "p99 ms", "status", "healthz/s", "p50 ms", "p99 ms", "memory MB"]  # fmt: skip
    publish(
        "Attacks",
        f"{machine()}; one web process without nginx, {SECONDS:g} s a run\n\n{table(headings, rows)}",
    )


if __name__ == "__main__":
    main()
