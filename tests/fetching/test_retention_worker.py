"""The retention policy in a real worker: its sweep deletes what the settings name, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stacks import Feed, Stack, wait_until

# Two datasets of this size are larger than 1 MB.
N_BARS = 40_000
OLD_FETCH = """
from datetime import timedelta
from django.utils import timezone
from datasets.models import Dataset, Fetch
kept = Dataset.objects.get(symbol="BTCUSDT")
Dataset.objects.filter(pk=kept.pk).update(is_pinned=True)
Fetch.objects.create(**kept.key.as_dict(), state="failed", requested_via="api", finished_at=timezone.now() - timedelta(days=31))
"""


@pytest.fixture
def stack(clean_feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    """A stopped service with a pinned dataset, another one, and a fetch that ended long ago."""
    running = Stack(tmp_path, clean_feed)
    try:
        worker = running.start_worker()
        running.manage("fetch", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "-n", str(N_BARS))
        worker.kill()
        running.manage("shell", "--no-imports", "-c", OLD_FETCH)
        yield running
    finally:
        running.stop()


def archive_files(stack: Stack) -> dict[str, bytes]:
    folder = stack.folder / "outputs" / "archive"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rows(stack: Stack, statement: str) -> list[Any]:
    with sqlite3.connect(
        stack.folder / "outputs" / "state" / "catalog.sqlite3", timeout=30
    ) as database:
        return database.execute(statement).fetchall()


@pytest.mark.slow
def test_a_worker_prunes_and_tidies_and_keeps_what_is_pinned_and_the_archive(stack: Stack) -> None:
    policy: dict[str, Any] = {"PRUNE_OVER_MB": "1", "TIDY_AFTER_DAYS": "30"}
    archive = archive_files(stack)
    pinned = stack.datasets_folder / "sample" / f"BINANCE_BTCUSDT_1h_{N_BARS}.parquet"
    other = pinned.with_name(pinned.name.replace("BTC", "ETH"))
    assert pinned.stat().st_size + other.stat().st_size > 10**6
    shown = json.loads(stack.manage("retention", "--json", **policy).stdout)
    assert (shown["datasets"], shown["fetches"]) == (1, 1)

    worker = stack.start_worker(**policy)

    wait_until(
        lambda: "the retention policy deleted" in worker.log.read_text(),
        seconds=60,
        what="the run of the retention policy",
    )
    assert not other.exists()
    assert pinned.exists()
    assert archive_files(stack) == archive
    assert archive
    assert rows(stack, "SELECT symbol FROM datasets_dataset") == [("BTCUSDT",)]
    assert rows(stack, "SELECT count(*) FROM datasets_fetch WHERE state = 'failed'") == [(0,)]
    assert rows(stack, "SELECT via FROM datasets_auditentry WHERE action = 'pruned'") == [
        ("service",)
    ]
