"""Fetches killed at random moments while bars are revised, vanish and are split: none that was received is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.changing_feed import ChangingFeed
from tests.support.stacks import ROOT, Stack

# Hundreds of rounds: ARCHIVE_KILLS=300 pytest -m slow tests/system/test_archive_kills.py -rP
N_ROUNDS = int(os.environ.get("ARCHIVE_KILLS", "40"))
_START = """
import sys, django
from pathlib import Path
django.setup()
from tests.support import archive_kills
archive_kills.main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def changing_feed(tmp_path: Path) -> Iterator[ChangingFeed]:
    (tmp_path / "feed").mkdir()
    running = ChangingFeed(tmp_path / "feed")
    yield running
    running.stop()


def test_killed_fetches_lose_no_bar_on_sqlite(changing_feed: ChangingFeed, tmp_path: Path) -> None:
    kill_fetches(Stack(tmp_path, changing_feed, TV_MAX_BARS="600"), changing_feed.folder)


def test_killed_fetches_lose_no_bar_on_postgresql(
    changing_feed: ChangingFeed, postgresql_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE archive_kills")
    url = postgresql_url.removesuffix("postgres") + "archive_kills"
    stack = Stack(tmp_path, changing_feed, TV_MAX_BARS="600", DATABASE_URL=url)

    kill_fetches(stack, changing_feed.folder)


def kill_fetches(stack: Stack, feed_folder: Path) -> None:
    """Do the rounds of `archive_kills.py`; show the counts with `pytest -rP`."""
    received = stack.folder / "received"
    received.mkdir()
    seed = int(os.environ.get("ARCHIVE_KILLS_SEED", random.randrange(10**6)))
    done = subprocess.run(
        [sys.executable, "-c", _START, str(N_ROUNDS), str(seed), str(feed_folder), str(received)],
        cwd=ROOT, env=stack.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    counts = json.loads(done.stdout)
    sys.stdout.write(f"{counts}\n")
    assert counts["rounds"] == N_ROUNDS
    assert counts["fetches killed"] > 0
    assert counts["bars checked"] > 0
