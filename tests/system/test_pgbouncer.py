"""PgBouncer in transaction mode, with the configuration of the example."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support import servers
from tests.support.many_hosts import programs
from tests.support.many_hosts.network import Host
from tests.support.stacks import ROOT, Feed, Stack

_SCRIPT = """
import json, django
django.setup()
from django.db import connection, transaction
from django.db.models import F
from datasets.models import Dataset, database

def asked(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]

limit = asked("SHOW statement_timeout")
rows = [Dataset(exchange="LOAD", symbol=f"S{n}", timeframe="1h", n_bars=n + 1, path=f"p{n}", instrument={},
                n_rows=1, bytes=1, first_time=database.now(), last_time=database.now(), fetched_at=database.now(),
                version="0", content_hash=f"{n}", state="ready") for n in range(2500)]
Dataset.objects.bulk_create(rows)
# More rows than one step of an iterator, with other statements in between.
n_read = sum(asked("SELECT 1") for _ in Dataset.objects.order_by("pk").iterator(1000))
with database.without_waiting():
    Dataset.objects.update(hits=F("hits") + 1)
print(json.dumps([limit, n_read, asked("SHOW lock_timeout"), str(asked("SHOW timezone"))]))
"""


@pytest.fixture
def stack(need: servers.Need, postgresql_url: str, feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    """A catalog behind PgBouncer: prepared by two hosts that start at the same time."""
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute("CREATE DATABASE pooled")
    direct_url = postgresql_url.removesuffix("postgres") + "pooled"
    # Not below pytest's folder: the user of PgBouncer cannot read that folder.
    with tempfile.TemporaryDirectory(prefix="tvpgbouncer-") as name:
        Path(name).chmod(0o755)
        bouncer, pooled_url = programs.pgbouncer(
            Host("pgbouncer", "127.0.0.1"), Path(name) / "pgbouncer", need, direct_url
        )
        bouncer.start()
        try:
            yield Stack(
                tmp_path,
                feed,
                DATABASE_URL=pooled_url,
                DATABASE_POOLING="transaction",
                direct=direct_url,
            )
        finally:
            bouncer.end()


def test_behind_pgbouncer_hosts_prepare_together_and_no_statement_needs_its_own_session(
    stack: Stack,
) -> None:
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "tvproject.prepare"], cwd=ROOT, text=True,
            env=stack.env | {"STATE_DIR": str(stack.folder / f"state{number}")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for number in (1, 2)
    ]  # fmt: skip
    said = [command.communicate(timeout=120)[0] for command in commands]

    assert [command.returncode for command in commands] == [0, 0], said
    with psycopg.connect(stack.env["direct"]) as server:
        locks = server.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert locks.fetchone() == (0,)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == ["15s", 2500, "0", "UTC"]
