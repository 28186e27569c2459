"""The counts of use are written without a later read, and no read waits for it."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from datasets import catalog
from datasets.models import Dataset
from datasets.serving import usage
from datasets.serving.usage import Hits
from datasets.storage import FolderStore
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.stacks import Feed, Stack, wait_until

MakeDataset = Callable[..., Dataset]


@pytest.mark.slow
def test_a_single_read_is_counted_when_the_web_server_ends(tmp_path: Path, feed: Feed) -> None:
    stack = Stack(tmp_path, feed)
    try:
        FolderStore(stack.datasets_folder).write(a_key(n_bars=20), fetched_bars(bars_table(20)))
        stack.manage("datasets", "rebuild")
        web = stack.start_web()
        assert stack.get("ohlc", symbol="BINANCE:BTCUSDT", n_bars=20).json()["cached"]

        web.process.send_signal(signal.SIGTERM)
        web.process.wait(timeout=20)

        (row,) = json.loads(stack.manage("datasets", "show", "BINANCE:BTCUSDT", "--json").stdout)
        assert row["hits"] == 1
        assert row["last_served_at"] is not None
    finally:
        stack.stop()


@pytest.fixture
def counter() -> Any:
    made: list[Hits] = []

    def make(**options: float) -> Hits:
        made.append(Hits(**options))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.mark.django_db(transaction=True)
def test_a_single_read_is_written_by_the_timer(make_dataset: MakeDataset, counter: Any) -> None:
    dataset = make_dataset(20)

    counter(every_s=0.05).count(dataset.pk)

    wait_until(lambda: Dataset.objects.get().hits == 1, what="the write of the count")
    assert Dataset.objects.get().last_served_at is not None


@pytest.mark.django_db(transaction=True)
def test_counts_wait_for_no_lock_for_long_and_are_not_lost(
    make_dataset: MakeDataset, counter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the lock is SQLite's")
    dataset = make_dataset(20)
    running: Hits = counter(every_s=0.05, patience_s=0.2)
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    running.count(dataset.pk)
    assert time.monotonic() - started < 0.1
    wait_until(lambda: "hits were not written" in caplog.text, seconds=10, what="giving up")

    other.execute("ROLLBACK")

    wait_until(lambda: Dataset.objects.get().hits == 1, what="the write of the count")
    other.close()


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_process_does_not_wait_for_a_lock(make_dataset: MakeDataset) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the lock is SQLite's")
    dataset = make_dataset(20)
    running = Hits(every_s=60, patience_s=0.2)
    running.start()
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    running.count(dataset.pk)

    started = time.monotonic()
    running.stop()

    assert time.monotonic() - started < 5
    other.execute("ROLLBACK")
    other.close()


def test_reads_of_the_file_are_counted_too(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(20)
    # What other tests have read.
    usage._hits._counts.clear()

    reply = client.get(f"/api/tv/datasets/{dataset.pk}/file")
    assert reply.status_code == 200
    assert reply.getvalue()  # read to its end, which closes the file
    usage.flush()

    assert Dataset.objects.get().hits == 1


def test_what_is_read_daily_is_not_pruned(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(20)
    long_ago = datetime.now(UTC) - timedelta(days=100)
    Dataset.objects.update(fetched_at=long_ago, last_served_at=long_ago)
    before = datetime.now(UTC) - timedelta(days=30)
    assert list(catalog.choose_prunable(unused_since=before)) == [dataset]

    client.get(f"/api/tv/datasets/{dataset.pk}/bars")
    usage.flush()

    assert list(catalog.choose_prunable(unused_since=before)) == []


def test_only_the_web_process_starts_the_timer() -> None:
    assert "hits" not in [thread.name for thread in threading.enumerate()]
