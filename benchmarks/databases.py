"""Part 16: cached reads and lists with the catalog in SQLite and in PostgreSQL, in one run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import load
from benchmarks.measurement import machine, publish, table
from benchmarks.serving import GZIP, ohlc
from benchmarks.web_server import Server
from tests.support.servers import postgresql
from tests.support.stacks import Feed, Stack

SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))
ROUNDS = 7
# Rows of the catalog beside the read one.
SIZES = (0, 100_000)
# Name, path, how long a web process trusts what it has checked.
READS = [
    ("cached bars", ohlc("B5000", 5000), "250"),
    ("cached bars, each read checked in the database", ohlc("B5000", 5000), "0"),
    ("list of datasets", "/api/tv/datasets", "250"),
]


def need(program: str) -> str:
    """Return the path of a program; end with a sentence where it is not installed."""
    debian = [*map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    path = os.pathsep.join([os.environ.get("PATH", ""), *debian])
    return shutil.which(program, path=path) or sys.exit(f"{program} is not installed.")


def fill(stack: Stack, *arguments: str) -> None:
    """Write datasets or rows in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", *arguments], env=stack.env, check=True
    )


def measure(servers: dict[tuple[str, str], Server], n_rows: int) -> list[list[str]]:
    """Return a row for each kind of read; the databases take turns."""
    rows = []
    for name, path, trust_ms in READS:
        rates: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
        for _ in range(ROUNDS):
            for database, found in rates.items():
                port = servers[database, trust_ms].port
                load.run(port, path, headers=GZIP, connections=8, seconds=0.2)
                run = load.run(port, path, headers=GZIP, connections=8, seconds=SECONDS)
                assert run.status == 200
                found.append(run.requests_per_s)
        sqlite, other = median(rates["SQLite"]), median(rates["PostgreSQL"])
        rows.append([name, f"{n_rows:,}", f"{sqlite:,.0f}", f"{other:,.0f}", f"{other / sqlite:.2f}"])  # fmt: skip
    return rows


def main() -> None:
    with ExitStack() as things:
        folder = Path(things.enter_context(tempfile.TemporaryDirectory()))
        feed = Feed(folder)
        things.callback(feed.stop)
        url = things.enter_context(postgresql(need))
        stacks = {}
        for database, settings in {"SQLite": {}, "PostgreSQL": {"DATABASE_URL": url}}.items():
            place = folder / database
            place.mkdir()
            stacks[database] = Stack(place, feed, **settings)
            things.callback(stacks[database].stop)
            fill(stacks[database], "fill")
        servers = {}
        for database, stack in stacks.items():
            for trust_ms in ("250", "0"):
                stack.env["WEB_TRUST_MS"] = trust_ms
                servers[database, trust_ms] = Server(stack)
                things.callback(servers[database, trust_ms].stop)
        rows = []
        for n_rows in SIZES:
            if n_rows:
                for stack in stacks.values():
                    fill(stack, "grow", str(n_rows))
            rows += measure(servers, n_rows)
    headings = ["read", "other rows", "SQLite, requests/s", "PostgreSQL, requests/s", "ratio"]
    publish(
        "Databases",
        f"{machine()}; one web process, 8 connections, {SECONDS:g} s a run, median of {ROUNDS} in turns; "
        f"the load and PostgreSQL run on the same machine\n\n{table(headings, rows)}",
    )


if __name__ == "__main__":
    main()
