"""Replies through nginx: passed on, kept for a second, kept by content, and files that nginx sends itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests

from benchmarks import load
from benchmarks.measurement import machine, publish, table
from benchmarks.serving import GZIP, ohlc
from benchmarks.web_server import Server
from tests.support.front import front
from tests.support.stacks import Feed, Stack

SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))
ROUNDS = 5
CONNECTIONS = 8
HEADINGS = ["reply", "way", "status", "requests/s", "p50 ms", "p99 ms", "web server's CPU ms each"]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of reply on one way to the client."""

    reply: str
    way: str
    port: int
    path: str
    headers: str = GZIP


def cases(direct: int, python_files: int, nginx: int, token: str) -> list[Case]:
    """Return all cases; `direct`, `python_files` and `nginx` are ports."""
    bars = ohlc("B5000", 5000)
    told = requests.get(f"http://127.0.0.1:{direct}{bars}", timeout=20).json()
    told_at = int(datetime.fromisoformat(told["held_through"]).timestamp())
    content, file = told["bars_url"], f"/api/tv/datasets/{told['dataset']}/file"
    with_token = f"{GZIP}Authorization: Bearer {token}\r\n"
    return [
        Case("ohlc, 5,000 bars, with a token", "direct", direct, bars, with_token),
        Case("ohlc, 5,000 bars, with a token", "nginx passes it on", nginx, bars, with_token),
        Case("ohlc, 5,000 bars", "direct", direct, bars),
        Case("ohlc, 5,000 bars", "nginx keeps it for 1 s", nginx, bars),
        Case("udf: the newest two bars", "direct", direct, f"/udf/history?symbol=LOAD:B5000&resolution=60&from={told_at - 9000}&to={told_at + 60}&countback=2"),
        Case("ohlc with redirect=true", "direct", direct, f"{bars}&redirect=true"),
        Case("bars by their content, 5,000", "direct", direct, content),
        Case("bars by their content, 5,000", "nginx keeps it", nginx, content),
        Case("parquet file, 5,000 bars", "Python, direct", python_files, file),
        Case("bars by their content, parquet", "nginx passes it on", nginx, content.replace("format=json", "format=parquet"), with_token),
        Case("parquet file, 5,000 bars", "X-Accel-Redirect", nginx, file),
    ]  # fmt: skip


def measure(server: Server, measured: list[Case]) -> list[list[str]]:
    """Return a row for each case: the median of alternating rounds."""
    found: dict[Case, list[tuple[load.Load, float]]] = {case: [] for case in measured}
    for _ in range(ROUNDS):
        for case in measured:
            options = {"headers": case.headers, "connections": CONNECTIONS}
            load.run(case.port, case.path, seconds=0.2, **options)  # type: ignore[arg-type]
            before = server.cpu_s()
            run = load.run(case.port, case.path, seconds=SECONDS, **options)  # type: ignore[arg-type]
            found[case].append((run, (server.cpu_s() - before) * 1000 / (run.requests_per_s * SECONDS)))  # fmt: skip
    rows = []
    for case, runs in found.items():
        run, cpu_ms = sorted(runs, key=lambda entry: entry[0].requests_per_s)[ROUNDS // 2]
        own = "" if case.way.startswith("Python, direct") else f"{cpu_ms:.2f}"
        rows.append([case.reply, case.way, str(run.status), f"{run.requests_per_s:,.0f}", f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}", own])  # fmt: skip
    return rows


def need(name: str) -> str:
    """Return the path of a program; raise `FileNotFoundError` where there is none."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise FileNotFoundError(f"{name} is needed for this measurement and is not installed")
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        feed = Feed(Path(name))
        stack = Stack(Path(name), feed, TRUSTED_PROXIES="1")
        filling = [sys.executable, "-m", "benchmarks.serving", "fill"]
        subprocess.run(filling, env=stack.env, check=True)
        servers = [Server(stack)]
        stack.env["X_ACCEL_PREFIX"] = "/stored/"
        servers.append(Server(stack))
        try:
            with front(stack, Path(name) / "nginx", need) as nginx:
                ports = (servers[1].port, servers[0].port, nginx.port)
                rows = measure(servers[1], cases(*ports, token="tv_for-measurements"))
        finally:
            for server in servers:
                server.stop()
            stack.stop()
            feed.stop()
    publish(
        "Front",
        f"{machine()}; one web process, nginx with two workers, {CONNECTIONS} "
        f"connections,\n{SECONDS:g} s a run, median of {ROUNDS} in turns; the load comes from the same machine\n\n{table(HEADINGS, rows)}",
    )


if __name__ == "__main__":
    main()
