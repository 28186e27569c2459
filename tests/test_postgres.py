"""The catalog on PostgreSQL: the same tests, against a server of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.processes import ROOT, Feed, Stack, free_port, wait_until
from tests.test_concurrency import CROWD_SECONDS, crowd

Need = Callable[[str], str]
# Where the catalog is read and written most.
FILES = ("catalog", "fetching", "ohlc_api", "api", "admin", "signin")


@pytest.fixture(scope="module")
def server(need: Need) -> Iterator[str]:
    """The URL of a PostgreSQL server that ends, with all its data, after the tests."""
    initdb, postgres = need("initdb"), need("postgres")
    # Not below pytest's own folder: that is closed to the user whom PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="tvpostgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _unprivileged())
    running = None
    try:
        _run_as_other(
            [initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        ).communicate()  # fmt: skip
        port = free_port()
        running = _run_as_other(
            # Nothing here has to survive a power cut.
            [postgres, "-D", f"{folder}/data", "-p", str(port), "-c", "fsync=off", "-c", "full_page_writes=off",
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        )  # fmt: skip
        url = f"postgres://postgres@127.0.0.1:{port}/postgres"
        wait_until(lambda: _answers(url), what="PostgreSQL's start")
        yield url
    finally:
        if running is not None:
            # Without waiting for clients that are still connected.
            running.send_signal(signal.SIGINT)
            running.wait(timeout=20)
        shutil.rmtree(folder)


def _run_as_other(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a program of PostgreSQL's, which refuse to be run by root."""
    user = _unprivileged() if os.geteuid() == 0 else None
    return subprocess.Popen(
        arguments,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _unprivileged() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_same_tests_pass_on_postgresql(server: str) -> None:
    # Kept, so that it can be seen that they were made there.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--create-db", "--reuse-db",
         *(f"tests/test_{name}.py" for name in FILES)],
        cwd=ROOT, env=os.environ | {"TEST_DATABASE_URL": server}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    summary = done.stdout.splitlines()[-1]
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "passed" in summary
    assert "skipped" not in summary
    with psycopg.connect(server.removesuffix("postgres") + "test_postgres") as connection:
        row = connection.execute("SELECT count(*) FROM django_migrations WHERE app = 'datasets'")
        assert row.fetchone() != (0,)


def test_a_crowd_of_processes_writes_to_postgresql_and_nobody_waits_for_ever(
    server: str, feed: Feed, tmp_path: Path
) -> None:
    crowd(Stack(tmp_path, feed, DATABASE_URL=server), seconds=CROWD_SECONDS / 2)
