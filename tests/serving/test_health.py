"""What the service says of itself: what is missing, and which workers live."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.test import Client
from django.utils import timezone

from datasets.fetching import workers
from datasets.models import Fetch, Worker
from datasets.serving import health
from tests.support.factories import a_key
from tests.support.stacks import Feed, Stack, free_port, wait_until


@pytest.fixture
def stack(feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path, feed)
    yield running
    running.stop()


def ready(stack: Stack) -> requests.Response:
    return requests.get(f"{stack.url}/readyz", timeout=60)


def test_readyz_follows_the_worker_and_the_database_and_names_what_is_missing(
    stack: Stack,
) -> None:
    stack.start_web()
    assert (ready(stack).status_code, ready(stack).json()["missing"]) == (503, ["worker"])

    worker = stack.start_worker()
    wait_until(lambda: ready(stack).status_code == 200, what="a worker that is seen")
    (seen,) = stack.get("status").json()["workers"]
    assert (seen["source"], seen["name"][:7]) == ("sample", "celery@")

    worker.process.terminate()
    worker.process.wait(timeout=20)
    # It has said good-bye.
    assert ready(stack).json()["missing"] == ["worker"]

    for path in (stack.folder / "outputs" / "state").glob("catalog.sqlite3*"):
        path.rename(path.with_name("moved-" + path.name))
    answer = ready(stack)
    assert answer.status_code == 503
    assert "database" in answer.json()["missing"]
    # Whoever opens it now makes a new and empty one.
    stack.get("status")
    assert "database" in ready(stack).json()["missing"]


def test_tables_that_are_not_there_are_named(feed: Feed, tmp_path: Path) -> None:
    stack = Stack(tmp_path, feed)
    (tmp_path / "outputs" / "state" / "catalog.sqlite3").unlink()
    try:
        stack.start_web()
        answer = ready(stack)
    finally:
        stack.stop()

    assert answer.status_code == 503
    assert "tables" in answer.json()["missing"]
    assert [line for line in answer.json()["problems"] if "tvproject.prepare" in line]


@pytest.mark.django_db(transaction=True)
def test_what_hangs_holds_the_answer_up_for_two_seconds_at_most(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.note_alive("celery@here")
    goes_on = threading.Event()

    def hang() -> None:
        goes_on.wait(30)

    monkeypatch.setattr(health, "_CHECKS", [health._Check("cache", hang)])

    started = time.monotonic()
    first, second = client.get("/readyz"), client.get("/readyz")
    took = time.monotonic() - started
    n_threads = sum(thread.name == "check-cache" for thread in threading.enumerate())
    goes_on.set()

    assert first.json()["missing"] == second.json()["missing"] == ["cache"]
    assert took < 4
    assert n_threads == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_and_a_cache_that_are_away_are_named(
    client: Client, settings: Any, scheme: str
) -> None:
    workers.note_alive("celery@here")
    settings.CELERY_BROKER_URL = f"{scheme}://127.0.0.1:{free_port()}"
    settings.CACHES = settings.CACHES | {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{free_port()}/0",
        }
    }

    assert client.get("/readyz").json()["missing"] == ["cache", "broker"]


@pytest.mark.django_db
def test_a_worker_that_has_not_been_seen_for_long_is_none(client: Client) -> None:
    workers.note_alive("celery@here")
    assert workers.is_any_alive("sample")
    assert not workers.is_any_alive("tradingview")

    for seen_at in (timezone.now() - timedelta(seconds=40), timezone.now() + timedelta(days=1)):
        Worker.objects.update(seen_at=seen_at)
        assert not workers.is_any_alive("sample")

    Worker.objects.update(seen_at=timezone.now() - timedelta(days=1))
    workers.note_alive("celery@there")
    assert [worker.name for worker in Worker.objects.all()] == ["celery@there"]


@pytest.mark.django_db
def test_a_fetch_that_waits_says_when_there_is_no_worker(client: Client) -> None:
    fetch = Fetch.objects.create(**a_key().as_dict(), requested_via="api")
    address = f"/api/tv/fetches/{fetch.pk}"

    assert client.get(address).json()["notice"] == workers.NONE_SEEN
    workers.note_alive("celery@here")
    assert client.get(address).json()["notice"] == ""


@pytest.mark.django_db
def test_the_admin_lists_the_workers(admin_client: Client) -> None:
    workers.note_alive("celery@here")

    page = admin_client.get("/admin/datasets/worker/").content.decode()

    assert "celery@here" in page
    assert "Add worker" not in page
