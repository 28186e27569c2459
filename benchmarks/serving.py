"""Part 2: a cached reply compared with an empty view, prepared bytes and a usual implementation."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load
from benchmarks.measurement import machine, publish, table
from benchmarks.web_server import Server
from tests.support.stacks import Feed, Stack

SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))
ROUNDS = 7
GZIP = "Accept-Encoding: gzip\r\n"
_TOKEN = "tv_for-measurements"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request."""

    name: str
    path: str
    headers: str = ""
    connections: int = 8


def ohlc(symbol: str, n_bars: int) -> str:
    return f"/api/tv/ohlc?symbol=LOAD:{symbol}&n_bars={n_bars}"


def fill() -> None:
    """Write datasets of three sizes and an API token; runs in its own process."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.utils import timezone

    from datasets.catalog import outputs, records
    from datasets.models import ApiToken, hash_secret
    from tests.support.factories import a_key, bars_table, fetched_bars

    for n_bars in (1_000, 5_000, 40_000):
        key = a_key(exchange="LOAD", symbol=f"B{n_bars}", n_bars=n_bars)
        records.record(outputs.get_store().write(key, fetched_bars(bars_table(n_bars))))
    ApiToken.objects.create(
        name="measurements",
        user=User.objects.create(username="measurements"),
        secret_hash=hash_secret(_TOKEN),
        last_used_at=timezone.now(),
    )


def grow(number: int) -> None:
    """Add `number` rows without files to the catalog."""
    import django

    django.setup()
    from datasets.models import Dataset

    template = Dataset.objects.get(symbol="B5000")
    names = [field.name for field in Dataset._meta.fields if field.name != "id"]
    rows = []
    for index in range(number):
        row = Dataset(**{name: getattr(template, name) for name in names})
        row.symbol, row.path = f"X{index}", f"sample/LOAD_X{index}_1h_5000.parquet"
        rows.append(row)
    Dataset.objects.bulk_create(rows, batch_size=500)


def cold() -> None:
    """Print the median CPU milliseconds of a reply that is not in the cache; plain, then gzip."""
    import django

    django.setup()
    from django.core.wsgi import get_wsgi_application
    from django.test import RequestFactory

    from datasets.serving.reply_bodies.bodies import rendered

    answer = get_wsgi_application()
    for headers in ({}, {"Accept-Encoding": "gzip"}):
        taken = []
        for _ in range(40):
            rendered.clear()
            environ = (
                RequestFactory(SERVER_NAME="localhost")
                .get(ohlc("B5000", 5000), headers=headers)
                .environ
            )
            statuses: list[str] = []
            before = time.process_time()
            reply = answer(environ, lambda status, *_, seen=statuses: seen.append(status))  # type: ignore[misc]
            # A large reply holds a place until it is closed.
            reply.close()
            taken.append((time.process_time() - before) * 1000)
            assert statuses == ["200 OK"]
        print(f"{median(taken):.1f}")


def measure(server: Server, cases: list[Case]) -> list[list[str]]:
    """Return a row for each case: the median of alternating rounds."""
    found: dict[str, list[tuple[load.Load, float]]] = {case.name: [] for case in cases}
    for _ in range(ROUNDS):
        for case in cases:
            load.run(
                server.port,
                case.path,
                headers=case.headers,
                connections=case.connections,
                seconds=0.2,
            )
            before = server.cpu_s()
            run = load.run(
                server.port,
                case.path,
                headers=case.headers,
                connections=case.connections,
                seconds=SECONDS,
            )
            found[case.name].append(
                (run, (server.cpu_s() - before) * 1000 / (run.requests_per_s * SECONDS))
            )
    rows = []
    reference = 0.0
    for case in cases:
        run, cpu_ms = sorted(found[case.name], key=lambda entry: entry[0].requests_per_s)[
            ROUNDS // 2
        ]
        reference = reference or run.requests_per_s
        rows.append([
            case.name, str(case.connections), str(run.status), f"{run.requests_per_s:,.0f}", f"{run.requests_per_s / reference:.2f}",
            f"{cpu_ms:.2f}", f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}", f"{run.p99_ms / run.p50_ms:.1f}",
        ])  # fmt: skip
    return rows


def compare(stack: Stack, against: Path | None) -> str:
    """Return the table of the candidates, measured in turns: threads, and another checkout's server."""
    servers = {f"{n} threads": Server(stack, threads=n) for n in (8, 16, 32)}
    if against is not None:
        servers[f"{against.name}, as it comes"] = Server(stack, checkout=against)
    paths = {"empty DRF view": "/bench/empty", "cached json, gzip": ohlc("B5000", 5000)}
    found: dict[tuple[str, str, int], list[tuple[load.Load, float]]] = {}
    try:
        for _ in range(ROUNDS):
            for name, server in servers.items():
                for what, path in paths.items():
                    for n in (1, 8, 64):
                        load.run(server.port, path, headers=GZIP, connections=n, seconds=0.2)
                        before = server.cpu_s()
                        run = load.run(server.port, path, headers=GZIP, connections=n, seconds=SECONDS)  # fmt: skip
                        cpu_ms = (server.cpu_s() - before) * 1000 / (run.requests_per_s * SECONDS)
                        found.setdefault((name, what, n), []).append((run, cpu_ms))
        memory = {name: f"{server.memory_mb():.0f}" for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()
    rows = []
    for (name, what, n), runs in found.items():
        run, cpu_ms = sorted(runs, key=lambda entry: entry[0].requests_per_s)[ROUNDS // 2]
        numbers = [f"{run.requests_per_s:,.0f}", f"{cpu_ms:.2f}", f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}"]  # fmt: skip
        rows.append([name, what, str(n), str(run.status), *numbers, memory[name]])
    headings = ["server", "reply", "connections", "status", "requests/s", "CPU ms each", "p50 ms", "p99 ms", "memory MB"]  # fmt: skip
    return table(headings, rows)


def measure_memory(server: Server) -> list[list[str]]:
    """Return the server's memory after growing numbers of cached replies."""
    rows, served, wanted = [], 0, iter((1_000, 10_000, 50_000, 100_000))
    goal = next(wanted)
    while goal:
        run = load.run(server.port, ohlc("B5000", 5000), headers=GZIP, connections=8, seconds=1)
        served += round(run.requests_per_s)
        if served >= goal:
            rows.append([f"{served:,}", f"{server.memory_mb():.0f}"])
            goal = next(wanted, 0)
    return rows


def measure_beside(server: Server) -> list[list[str]]:
    """Return the rate and times of two readers of cached bars, alone and beside four other clients."""
    others = {
        "nothing": "",
        "lists of datasets": "/api/tv/datasets",
        "pages": "/datasets/",
        "naive replies": "/bench/naive?symbol=B5000",
        "requests that wait for a fetch": "/api/tv/ohlc?symbol=LOAD:NOBODY&wait=2",
    }
    found: dict[str, list[load.Load]] = {what: [] for what in others}
    for _ in range(ROUNDS):
        for what, path in others.items():
            if not path:
                found[what].append(_read_cached(server))
                continue
            with ThreadPoolExecutor(1) as pool:
                beside = pool.submit(
                    load.run, server.port, path, connections=4, seconds=SECONDS + 0.4
                )
                time.sleep(0.2)
                found[what].append(_read_cached(server))
                beside.result()
    rows = []
    for what, runs in found.items():
        run = sorted(runs, key=lambda run: run.p50_ms)[ROUNDS // 2]
        rows.append([what, f"{run.requests_per_s:,.0f}", f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}"])
    return rows


def _read_cached(server: Server) -> load.Load:
    return load.run(server.port, ohlc("B5000", 5000), headers=GZIP, connections=2, seconds=SECONDS)


HEADINGS = [
    "reply",
    "connections",
    "status",
    "requests/s",
    "of the first",
    "CPU ms each",
    "p50 ms",
    "p99 ms",
    "p99/p50",
]


def tag(stack: Stack) -> str:
    import requests

    return str(requests.get(stack.url + ohlc("B5000", 5000), timeout=10).headers["ETag"])


def kinds_of_replies(stack: Stack) -> list[Case]:
    """Return a case for each kind of reply; the first is the reference of the ratios."""
    bars = ohlc("B5000", 5000)
    with_token = GZIP + f"Authorization: Bearer {_TOKEN}\r\n"
    return [
        Case("empty DRF view", "/bench/empty"),
        Case("ready gzip bytes, plain Django", "/bench/ready"),
        Case("cached json, 5,000 bars, gzip", bars, GZIP),
        Case("cached json, 5,000 bars, gzip, with a token", bars, with_token),
        Case("cached json, 5,000 bars, plain", bars),
        Case("unchanged (304)", bars, GZIP + f"If-None-Match: {tag(stack)}\r\n"),
        Case("cached json, 1,000 bars, gzip", ohlc("B1000", 1000), GZIP),
        # Fewer clients than the server sends large replies to at a time.
        Case("cached json, 40,000 bars, gzip", ohlc("B40000", 40000), GZIP, 4),
        Case("naive: pandas, records, DRF", "/bench/naive?symbol=B5000"),
    ]


def run_part(*arguments: str, stack: Stack) -> str:
    """Run another part of this module in its own process; return its output."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", *arguments],
        env=stack.env, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip


def measure_all(stack: Stack, against: Path | None) -> str:
    """Return the tables of all measurements; `against` is a checkout of another version."""
    run_part("fill", stack=stack)
    plain, gzipped = run_part("cold", stack=stack).split()
    pair = [
        Case("empty DRF view", "/bench/empty"),
        Case("cached json, gzip", ohlc("B5000", 5000), GZIP),
    ]
    candidates = compare(stack, against)
    server = Server(stack)
    try:
        kinds = measure(server, kinds_of_replies(stack))
        counts = measure(server, [
            Case(f"{case.name}, {n} at a time", case.path, GZIP, n) for n in (1, 8, 64) for case in pair
        ])  # fmt: skip
        small = measure(server, pair)
        beside = measure_beside(server)
        memory = measure_memory(server)
        run_part("grow", "100000", stack=stack)
        large = measure(server, pair)
    finally:
        server.stop()
    sizes = [
        [f"{row[0]}, {number} datasets", *row[1:]]
        for number, rows in [("3", small), ("100,000", large)]
        for row in rows
    ]
    return "\n\n".join([
        candidates,
        *(table(HEADINGS, rows) for rows in (kinds, counts, sizes)),
        table(["a reply of 5,000 bars not yet rendered", "CPU ms"], [["plain", plain], ["gzip", gzipped]]),
        table(["two readers of cached json, gzip, beside four that ask for", "requests/s", "p50 ms", "p99 ms"], beside),
        table(["cached replies since the start of the measurement", "memory of the web process, MB"], memory),
    ])  # fmt: skip


def main(against: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as name:
        feed = Feed(Path(name))
        stack = Stack(Path(name), feed)
        os.environ.update(stack.env)
        try:
            text = measure_all(stack, against)
        finally:
            stack.stop()
            feed.stop()
    publish(
        "Serving",
        f"{machine()}; one web process, {SECONDS:g} s a run, median of {ROUNDS} in turns; the load comes from the same machine\n\n{text}",
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill"]:
            fill()
        case ["cold"]:
            cold()
        case ["grow", number]:
            grow(int(number))
        case ["--against", checkout]:
            main(Path(checkout).resolve())
        case _:
            started = time.monotonic()
            main()
            print(f"{time.monotonic() - started:.0f} s")
