"""`python -m tvproject.prepare`: one prepares, and what stands in the way is named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stacks import ROOT, Feed, Stack, free_port


@pytest.fixture
def stack(feed: Feed, tmp_path: Path) -> Stack:
    return Stack(tmp_path, feed)


def start(stack: Stack) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tvproject.prepare"],
        cwd=ROOT, env=stack.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, complaint = process.communicate(timeout=120)
    return process.returncode, said + complaint


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_of_three_services_that_start_at_once_one_prepares(
    request: pytest.FixtureRequest, stack: Stack, kind: str
) -> None:
    if kind == "sqlite":
        (stack.folder / "outputs" / "state" / "catalog.sqlite3").unlink()
    else:
        import psycopg

        url = request.getfixturevalue("postgresql_url")
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("CREATE DATABASE prepared")
        stack.env["DATABASE_URL"] = url.removesuffix("postgres") + "prepared"

    outcomes = [outcome(process) for process in [start(stack) for _ in range(3)]]

    assert [status for status, _ in outcomes] == [0, 0, 0], outcomes
    assert sum("Admin user created" in said for _, said in outcomes) == 1


def test_a_migration_that_fails_is_named(stack: Stack) -> None:
    with sqlite3.connect(stack.folder / "outputs" / "state" / "catalog.sqlite3") as catalog:
        # As if the indexes of this migration had been made by hand.
        catalog.execute("DELETE FROM django_migrations WHERE app = 'datasets' AND name >= '0020'")
    catalog.close()

    status, said = outcome(start(stack))

    assert status == 1
    assert "datasets.0020_large_lists failed" in said
    assert "already exists" in said
    assert "does not answer" not in said
    assert "Traceback" not in said


def test_a_database_that_does_not_answer_is_named(stack: Stack) -> None:
    stack.env["DATABASE_URL"] = f"postgres://nobody@127.0.0.1:{free_port()}/none"

    status, said = outcome(start(stack))

    assert status == 1
    assert "DATABASE_URL: the database does not answer" in said
    assert "Traceback" not in said
