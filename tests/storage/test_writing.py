"""A slow write of one dataset blocks no other writer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from datasets.fetching import attempt, feed_clients, fetch_queue
from datasets.models import Dataset, Fetch
from datasets.storage import FolderStore
from tests.support.factories import a_key
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def use_feed(settings: Any, clean_feed: Feed) -> Iterator[None]:
    settings.TV_WS_URL, settings.TV_SITE_URL = clean_feed.ws_url, clean_feed.site_url
    feed_clients._client_of.cache_clear()
    yield
    feed_clients.feed_client().close()


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Make every sync set the first event and wait for the second event."""
    waits, goes_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        waits.set()
        assert goes_on.wait(30)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    yield waits, goes_on
    goes_on.set()


def test_others_write_while_a_file_is_synced(
    store: FolderStore, slow_disk: tuple[threading.Event, threading.Event]
) -> None:
    # The first file of a source makes the folder, which also syncs; do it before.
    store.accept("sample")
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
    waits, goes_on = slow_disk

    def run() -> None:
        try:
            attempt.run_fetch(fetch.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=run)
    worker.start()
    assert waits.wait(30)
    connection.close()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout = 0")
        # Fails at once where another connection has the lock.
        fetch_queue.open_fetch(a_key(symbol="ETHUSDT"), via="api")
    connection.close()
    goes_on.set()
    worker.join(30)

    fetch.refresh_from_db()
    assert fetch.state == "succeeded"


def test_a_worker_that_loses_its_lease_during_the_write_puts_nothing_in_place(
    store: FolderStore, slow_disk: tuple[threading.Event, threading.Event]
) -> None:
    store.accept("sample")
    before = list(store.path(a_key()).parent.iterdir())
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")
    waits, goes_on = slow_disk

    def run() -> None:
        try:
            attempt.run_fetch(fetch.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=run)
    worker.start()
    assert waits.wait(30)
    Fetch.objects.filter(pk=fetch.pk).update(owner="another")
    # A starting worker does not remove a temporary file that is being written.
    assert store.remove_strays() == 0
    goes_on.set()
    worker.join(30)

    assert not Dataset.objects.exists()
    assert list(store.path(a_key()).parent.iterdir()) == before
