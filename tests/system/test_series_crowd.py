"""Several processes at once change one series: no bar is lost, nothing deadlocks, and all files and rows agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.changing_feed import ChangingFeed
from tests.support.stacks import ROOT, Stack

# For a minute: CROWD_SECONDS=60 pytest -m slow tests/system/test_series_crowd.py -rP
CROWD_SECONDS = float(os.environ.get("CROWD_SECONDS", "12"))
N_PROCESSES = 6
_START = """
import sys, django
from pathlib import Path
django.setup()
from tests.support import series_crowd
series_crowd.main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def changing_feed(tmp_path: Path) -> Iterator[ChangingFeed]:
    (tmp_path / "feed").mkdir()
    running = ChangingFeed(tmp_path / "feed")
    yield running
    running.stop()


def test_a_crowd_changes_one_series_on_sqlite(changing_feed: ChangingFeed, tmp_path: Path) -> None:
    crowd(Stack(tmp_path, changing_feed, TV_MAX_BARS="600"), changing_feed.folder)


def test_a_crowd_changes_one_series_on_postgresql(
    changing_feed: ChangingFeed, postgresql_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE series_crowd")
    url = postgresql_url.removesuffix("postgres") + "series_crowd"
    crowd(Stack(tmp_path, changing_feed, TV_MAX_BARS="600", DATABASE_URL=url), changing_feed.folder)


def crowd(stack: Stack, feed_folder: Path) -> None:
    """Have the processes of `series_crowd.py` work; show the counts with `pytest -rP`."""
    received = stack.folder / "received"
    received.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _START, str(N_PROCESSES), str(CROWD_SECONDS), str(feed_folder), str(received)],
        cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=CROWD_SECONDS + 120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    problems = [each["problem"] for each in outcomes if "problem" in each]
    assert not problems, problems[0]
    counts = sum((Counter(each) for each in outcomes), Counter())
    sys.stdout.write(f"{dict(counts)}\n")
    assert not [deed for deed in counts if deed.startswith("error")], counts
    assert counts["fetched"] > 0
    assert counts["bars checked"] > 0
