"""PostgreSQL's connections: few for many requests, and none waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.support import servers
from tests.support.stacks import ROOT, Feed, Stack, wait_until
from tvproject import postgresql

N_WAITING = 260
_KEEP = """
import django
django.setup()
from datasets.catalog import outputs, records
from tests.support.factories import a_key, bars_table, fetched_bars
records.record(outputs.get_store().write(a_key(), fetched_bars(bars_table(300))))
"""


def run(stack: Stack, script: str) -> None:
    """Run a script to its end."""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=stack.env, check=True, timeout=60)


@pytest.mark.slow
def test_requests_that_wait_for_fetches_leave_the_connections_to_others(
    need: servers.Need, feed: Feed, tmp_path: Path
) -> None:
    """More than PostgreSQL has connections for, while no worker fetches."""
    with servers.postgresql(need) as url:
        stack = Stack(tmp_path, feed, DATABASE_URL=url)
        try:
            run(stack, _KEEP)
            stack.start_web(workers=2)
            with ThreadPoolExecutor(N_WAITING) as pool:
                asked = [
                    pool.submit(stack.get, "ohlc", symbol=f"LOAD:S{number}", n_bars=10, wait=8)
                    for number in range(N_WAITING)
                ]
                time_out = time.monotonic() + 20
                while stack.get("status").json()["queued"] < N_WAITING:
                    assert time.monotonic() < time_out, "the requests did not come in"
                cached = stack.get("ohlc", symbol="BINANCE:BTCUSDT", n_bars=300)
                with psycopg.connect(url) as server:
                    row = server.execute(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                    ).fetchone()
                statuses = Counter(future.result().status_code for future in asked)
        finally:
            stack.stop()

    assert statuses == {202: N_WAITING}
    assert cached.json()["cached"] is True
    assert row is not None
    # Ours to ask is one of them.
    assert row[0] <= 2 * 8 + 1


def test_the_connections_of_all_processes_are_fewer_than_postgresql_has() -> None:
    for n_web in range(1, 40):
        size = postgresql.options(n_web)["pool"]["max_size"]
        assert 2 <= size <= 8
        assert size * (n_web + 1) < 100


_ASK = """
import sys, time, django
django.setup()
from django.db import Error, connection
from tvproject.postgresql import BoundedConnection
BoundedConnection.reply_s = 1.0
def ask():
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        print("given up", time.monotonic() - started < 12, flush=True)
    else:
        print("answered", flush=True)
    connection.close_if_unusable_or_obsolete()
for line in sys.stdin:
    ask()
"""


@pytest.mark.slow
def test_a_server_that_hangs_is_given_up_and_is_used_again_when_it_goes_on(
    need: servers.Need, feed: Feed, tmp_path: Path
) -> None:
    with servers.postgresql(need) as url:
        stack = Stack(tmp_path, feed, DATABASE_URL=url)
        asker = subprocess.Popen(
            [sys.executable, "-c", _ASK],
            cwd=ROOT, env=stack.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        try:
            assert _asked(asker) == "answered"
            with _stopped(url):
                assert _asked(asker) == "given up True"
            wait_until(lambda: _asked(asker) == "answered", what="an answer when it goes on")
        finally:
            asker.kill()
            asker.communicate()


def _asked(asker: subprocess.Popen[str]) -> str:
    """Have the process ask its database; return what came of it."""
    assert asker.stdin is not None
    assert asker.stdout is not None
    asker.stdin.write("ask\n")
    return asker.stdout.readline().strip()


@contextmanager
def _stopped(url: str) -> Iterator[None]:
    """Stop the server with all its processes, as a machine does that is out of memory."""
    pids: list[int] = []
    try:
        with psycopg.connect(url) as server:
            row = server.execute("SHOW data_directory").fetchone()
            assert row is not None
            pids.append(int((Path(row[0]) / "postmaster.pid").read_text().splitlines()[0]))
            # First the process that starts the others, so that none is missing from the list.
            _send(pids, signal.SIGSTOP)
            pids += [row[0] for row in server.execute("SELECT pid FROM pg_stat_activity")]
        _send(pids, signal.SIGSTOP)
        yield
    finally:
        _send(pids, signal.SIGCONT)


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
