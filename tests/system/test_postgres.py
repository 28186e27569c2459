"""The catalog on PostgreSQL: the same tests, against a server of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.stacks import ROOT, Feed, Stack
from tests.system.test_concurrency import CROWD_SECONDS, crowd

# Where the catalog is read and written most.
FILES = (
    "catalog/test_catalog", "management/test_commands", "fetching/test_fetching", "api/test_ohlc", "api/test_api",
    "serving/test_cached_reads", "admin/test_admin", "views/test_pages", "tradingview/test_sign_in",
    "fetching/test_quotas", "incidents/test_incidents", "incidents/test_delivery", "views/test_audit_page",
    "monitoring/test_metrics", "views/test_status_page", "fetching/test_retention_policy",
)  # fmt: skip


@pytest.mark.slow
def test_the_same_tests_pass_on_postgresql(postgresql_url: str) -> None:
    # Kept, so that it can be seen that they were made there.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--create-db", "--reuse-db", "-k", "not promtool",
         *(f"tests/{name}.py" for name in FILES)],
        cwd=ROOT, env=os.environ | {"TEST_DATABASE_URL": postgresql_url}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    summary = done.stdout.splitlines()[-1]
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "passed" in summary
    assert "skipped" not in summary
    with psycopg.connect(postgresql_url.removesuffix("postgres") + "test_postgres") as connection:
        row = connection.execute("SELECT count(*) FROM django_migrations WHERE app = 'datasets'")
        assert row.fetchone() != (0,)


@pytest.mark.slow
def test_a_crowd_of_processes_writes_to_postgresql_and_nobody_waits_for_ever(
    postgresql_url: str, feed: Feed, tmp_path: Path
) -> None:
    crowd(Stack(tmp_path, feed, DATABASE_URL=postgresql_url), seconds=CROWD_SECONDS / 2)


@pytest.mark.slow
def test_fetches_of_one_series_that_contradict_each_other_never_deadlock(
    postgresql_url: str, feed: Feed, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE one_series")
    stack = Stack(
        tmp_path, feed, DATABASE_URL=postgresql_url.removesuffix("postgres") + "one_series"
    )

    crowd(stack, seconds=min(5.0, CROWD_SECONDS), is_one_series=True)
