"""A real worker fetches the series of a watchlist by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.stacks import Feed, Stack, wait_until


def in_catalog(stack: Stack, statement: str) -> list[Any]:
    """Run a statement on the catalog beside the worker."""
    path = next(stack.folder.rglob("catalog.sqlite3"))
    with closing(sqlite3.connect(path, timeout=20)) as database, database:
        return database.execute(statement).fetchall()


def fetches(stack: Stack) -> list[Any]:
    return in_catalog(
        stack, "SELECT requested_via, priority, n_bars, state FROM datasets_fetch ORDER BY id"
    )


@pytest.mark.slow
def test_a_worker_backfills_a_list_and_then_fetches_what_is_due(
    clean_feed: Feed, tmp_path: Path
) -> None:
    stack = Stack(tmp_path, clean_feed)
    try:
        stack.start_worker()
        stack.manage("watch", "add", "crypto", "BINANCE:BTCUSDT", "-t", "4h", "-n", "400")

        printed = stack.manage("backfill", "crypto").stdout

        assert "1 of 1 series have their first window." in printed
        # As after an outage of the workers.
        in_catalog(stack, "UPDATE datasets_series SET last_time = '2024-01-01 00:00:00'")
        in_catalog(stack, "UPDATE datasets_schedule SET due_at = '2024-01-01 00:00:00'")
        ended = [("schedule", 3, 400, "succeeded"), ("schedule", 2, 400, "succeeded")]
        wait_until(lambda: fetches(stack) == ended, what="the scheduled fetch")
        assert clean_feed.stats()["conversations"] == 2
        assert in_catalog(stack, "SELECT n_rows FROM datasets_series") == [(400,)]
        # The next close, and no fetch before it.
        found = in_catalog(stack, "SELECT failures, due_at > datetime() FROM datasets_schedule")
        assert found == [(0, 1)]
    finally:
        stack.stop()
