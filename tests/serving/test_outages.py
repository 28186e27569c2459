"""A database or a disk that is away is named, and what is cached is served beside it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.contrib.auth.models import User
from django.utils import timezone

from datasets.models import ApiToken
from tests.support.stacks import ROOT, Feed, Stack, free_port

_KEEP = """
import django
django.setup()
from django.contrib.auth.models import User
from datasets.catalog import outputs, records
from datasets.models import ApiToken
from tests.support.factories import a_key, bars_table, fetched_bars
records.record(outputs.get_store().write(a_key(), fetched_bars(bars_table(300))))
token = ApiToken(name="t", user=User.objects.create_user("ada"))
print(token.renew())
token.save()
"""


@contextmanager
def locked(catalog: Path) -> Iterator[None]:
    """Hold the write lock of a database of SQLite, as a backup by hand does."""
    database = sqlite3.connect(catalog, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


@pytest.fixture
def stack(feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    catalog = tmp_path / "catalog.sqlite3"
    running = Stack(tmp_path, feed, DATABASE_URL=f"sqlite:///{catalog}?timeout=1")
    yield running
    running.stop()


def test_a_locked_database_refuses_writes_by_name_and_holds_no_cached_read_up(
    stack: Stack, tmp_path: Path
) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _KEEP], cwd=ROOT, env=stack.env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
    stack.start_web()
    cached = f"{stack.url}/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
    body = {"symbol": "BINANCE:ETHUSDT"}
    requests.get(cached, timeout=30)

    with locked(tmp_path / "catalog.sqlite3"):
        new = stack.get("ohlc", symbol="BINANCE:ETHUSDT", n_bars=300)
        asked = requests.post(f"{stack.url}/api/tv/fetches", json=body, timeout=30)
        started = time.monotonic()
        read = requests.get(cached, headers=bearer, timeout=30)
        took = time.monotonic() - started
        command = stack.manage("fetch", "BINANCE:ETHUSDT", check=False)

    for answer in (new, asked):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (answer.json()["code"], answer.json()["retryable"]) == ("database_unavailable", True)
        assert "locked" in answer.json()["detail"]
    # The use of a token is to be noted with its first read; that does not wait.
    assert read.json()["cached"] is True
    assert took < 0.9
    assert command.returncode == 1
    assert "locked" in command.stderr
    log = (tmp_path / "web.log").read_text()
    assert "database_unavailable" in log
    assert "Traceback" not in log + command.stderr
    assert requests.post(f"{stack.url}/api/tv/fetches", json=body, timeout=30).status_code == 202


@pytest.mark.slow
def test_a_database_that_is_away_is_named_in_api_pages_and_commands(
    feed: Feed, tmp_path: Path
) -> None:
    stack = Stack(tmp_path, feed)
    stack.env["DATABASE_URL"] = f"postgres://nobody@127.0.0.1:{free_port()}/none"
    try:
        stack.start_web()
        api = stack.get("ohlc", symbol="BINANCE:ETHUSDT")
        page = requests.get(f"{stack.url}/datasets/", timeout=30)
        command = stack.manage("datasets", "list", check=False)
    finally:
        stack.stop()

    assert (api.status_code, api.json()["code"]) == (503, "database_unavailable")
    assert page.status_code == 503
    assert "DATABASE_URL" in page.text
    assert command.returncode == 1
    # The pool of connections may log a line of its own at the end.
    assert [
        line for line in command.stderr.splitlines() if line.startswith("database_unavailable: ")
    ]
    assert "127.0.0.1" not in api.text + page.text
    log = (tmp_path / "web.log").read_text()
    assert [line for line in log.splitlines() if "/datasets/: database_unavailable" in line]
    assert "Traceback" not in log + command.stderr


@pytest.mark.django_db
def test_the_use_of_a_token_is_noted_once_an_hour() -> None:
    token = ApiToken(name="t", user=User.objects.create_user("ada"))
    token.renew()
    token.save()
    assert not token.is_use_noted

    token.note_use()
    token.refresh_from_db()
    assert token.is_use_noted

    token.last_used_at = timezone.now() - timedelta(hours=2)
    assert not token.is_use_noted
