"""Only a living worker owns a fetch, also when clocks jump and connections are cut."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError
from django.utils import timezone

from datasets.errors import AuthFailed
from datasets.fetching import credentials, fetch_queue, leases
from datasets.models import Fetch, SignIn
from tests.support.factories import a_key
from tests.support.stacks import ROOT, Feed, Stack, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leased_a_day_ahead() -> Fetch:
    """A running fetch whose worker has died, and whose clock was a day ahead."""
    tomorrow = timezone.now() + timedelta(days=1)
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
    Fetch.objects.update(state="running", owner="dead", lease_until=tomorrow, attempts=1)
    return fetch


def test_the_next_sweep_takes_over_a_fetch_that_was_leased_a_day_ahead(
    leased_a_day_ahead: Fetch,
) -> None:
    assert fetch_queue.next_fetches(at_most=10) == [leased_a_day_ahead.pk]
    assert leases.claim(leased_a_day_ahead.pk) is not None
    assert leases.claim(leased_a_day_ahead.pk) is None
    assert fetch_queue.next_fetches(at_most=10) == []


def test_a_fetch_that_was_leased_a_day_ahead_can_be_cancelled(leased_a_day_ahead: Fetch) -> None:
    assert fetch_queue.cancel(leased_a_day_ahead)

    leased_a_day_ahead.refresh_from_db()
    assert leased_a_day_ahead.state == "cancelled"


def test_a_fetch_whose_worker_lives_cannot_be_cancelled() -> None:
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
    assert leases.claim(fetch.pk) is not None

    assert not fetch_queue.cancel(fetch)


def test_a_fetch_whose_next_attempt_was_set_a_day_ahead_begins_now() -> None:
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
    Fetch.objects.update(next_attempt_at=timezone.now() + timedelta(days=1))

    assert fetch_queue.next_fetches(at_most=10) == [fetch.pk]


def test_a_lock_or_a_refusal_of_the_sign_in_dated_a_day_ahead_is_ignored(
    settings: Any, clean_feed: Feed
) -> None:
    settings.TV_SITE_URL, settings.TV_USERNAME, settings.TV_PASSWORD = clean_feed.site_url, "ada", "lovelace"  # fmt: skip
    credentials.note_refusal(AuthFailed("no"))
    tomorrow = timezone.now() + timedelta(days=1)
    SignIn.objects.update_or_create(
        pk=SignIn.SINGLETON,
        defaults={
            "fingerprint": credentials._fingerprint(credentials.credentials()),
            "locked_by": "dead",
            "locked_until": tomorrow,
            "refused_code": "auth_failed",
            "refused_until": tomorrow,
        },
    )

    assert credentials.sign_in_state()["state"] == "not_yet"
    assert credentials.current_auth_token()


@pytest.fixture
def quick_keeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(leases, "_RENEW_S", 0.05)
    yield
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if thread.name == "leases"],
        what="the end of the lease keeper",
    )


@pytest.mark.usefixtures("quick_keeper")
@pytest.mark.parametrize("error", [InterfaceError("the connection is closed"), ValueError("?")])
def test_no_error_ends_the_renewing_of_leases(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    extend, failures = leases.Lease.extend, [error, error]

    def fail_twice(lease: leases.Lease) -> bool:
        if failures:
            raise failures.pop()
        return extend(lease)

    monkeypatch.setattr(leases.Lease, "extend", fail_twice)
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
    claimed = leases.claim(fetch.pk)
    assert claimed is not None
    claimed[0].refresh_from_db()
    before = claimed[0].lease_until

    with claimed[1]:
        wait_until(
            lambda: Fetch.objects.filter(pk=fetch.pk, lease_until__gt=before).exists(),
            what="a lease that is renewed",
        )


# --- on PostgreSQL -----------------------------------------------------------------------

_WORK = """
import json, sys, time, django
django.setup()
from datetime import timedelta
from django.utils import timezone
from datasets.fetching import fetch_queue, leases
from datasets.models import Fetch, database
from tests.support.factories import a_key
leases._RENEW_S = 0.1
fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
_, lease = leases.claim(fetch.pk)
right = timezone.now
timezone.now = lambda: right() + timedelta(seconds=20)
print(json.dumps({"stolen": leases.claim(fetch.pk) is not None}), flush=True)
timezone.now = right
# A fetch does this before it calls the feed.
database.give_connection_back()
with lease:
    sys.stdin.readline()
print(json.dumps({"until": Fetch.objects.get().lease_until.timestamp(), "lost": lease.is_lost}))
"""


@pytest.mark.slow
def test_on_postgresql_neither_a_fast_clock_nor_a_cut_connection_ends_a_lease(
    postgresql_url: str, feed: Feed, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute("CREATE DATABASE leases")
        stack = Stack(tmp_path, feed, DATABASE_URL=postgresql_url.removesuffix("postgres") + "leases")  # fmt: skip
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORK],
            cwd=ROOT, env=stack.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert json.loads(worker.stdout.readline()) == {"stolen": False}
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'leases'"
        wait_until(lambda: server.execute(cut).fetchall(), what="a connection to cut")
        cut_at = time.time()
        with psycopg.connect(stack.env["DATABASE_URL"]) as catalog:
            until = "SELECT extract(epoch FROM lease_until) FROM datasets_fetch"

            def is_renewed() -> bool:
                row = catalog.execute(until).fetchone()
                catalog.rollback()
                return row is not None and row[0] > cut_at + leases.LEASE.total_seconds()

            wait_until(is_renewed, seconds=10, what="a lease renewed on a new connection")
        said, _ = worker.communicate("\n", timeout=20)

    assert json.loads(said)["lost"] is False
