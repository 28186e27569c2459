"""Many processes at once: nobody is turned away, nothing is counted twice, nobody's work is undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from datasets.errors import FeedClosed, FetchError, NoData
from datasets.fetching import attempt, fetch_queue, tasks
from datasets.models import Fetch
from tests.support.factories import a_key
from tests.support.stacks import ROOT, Feed, Stack

# For a minute: CROWD_SECONDS=60 pytest tests/system/test_concurrency.py tests/system/test_postgres.py -k crowd -rP
CROWD_SECONDS = float(os.environ.get("CROWD_SECONDS", "20"))
N_PROCESSES = 8
_START = """
import sys, django
django.setup()
from tests.support import crowd
crowd.main(int(sys.argv[1]), float(sys.argv[2]), is_one_series=sys.argv[3] == 'True')
"""


def crowd(stack: Stack, *, seconds: float, is_one_series: bool = False) -> None:
    """Have eight processes fetch, read and count for so long, and check what came of it.

    Where all datasets are of one series, each fetch contradicts the others and invalidates them.
    """
    done = subprocess.run(
        [sys.executable, "-c", _START, str(N_PROCESSES), str(seconds), str(is_one_series)],
        cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=seconds + 60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    problems = [process["problem"] for process in outcome["processes"] if "problem" in process]
    assert not problems, problems[0]
    counts = sum((Counter(process["counts"]) for process in outcome["processes"]), Counter())
    longest = max(max(process["longest"].values()) for process in outcome["processes"])

    # Shown by `pytest -rP`.
    sys.stdout.write(f"{dict(counts)}, the longest took {longest:.1f} s; {outcome['catalog']}\n")
    assert not [deed for deed in counts if deed.startswith("error")], counts
    assert "locked" not in done.stderr
    found = outcome["catalog"].pop("found")
    assert found.keys() <= ({"ok", "gone"} if is_one_series else {"ok"})
    assert is_one_series or found == {"ok": 12}
    assert outcome["catalog"] == {
        "fetches": {"succeeded": counts["fetched"]},
        "hits": counts["read"],
    }


@pytest.mark.slow
def test_a_crowd_of_processes_writes_to_sqlite_and_nobody_finds_it_locked(
    feed: Feed, tmp_path: Path
) -> None:
    crowd(Stack(tmp_path, feed), seconds=CROWD_SECONDS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [FeedClosed("cut off"), NoData("nothing")], ids=["retry", "end"])
def test_an_attempt_that_was_taken_over_and_then_fails_leaves_the_other_alone(
    settings: Any, monkeypatch: pytest.MonkeyPatch, error: FetchError
) -> None:
    """A worker that was held up for longer than its lease comes back to a dead connection."""
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")

    def taken_over(self: Any, key: Any) -> Any:
        Fetch.objects.filter(pk=fetch.pk).update(owner="another")
        raise error

    monkeypatch.setattr(attempt.Attempt, "fetch_bars", taken_over)
    tasks.attempt(fetch.pk)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.owner, fetch.error_code) == ("running", "another", "")
