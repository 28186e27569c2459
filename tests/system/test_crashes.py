"""Whatever is killed or runs out: the old dataset or the new one, and no request lost."""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from datasets.errors import StoreFailed
from datasets.storage import MARKER, FolderStore, relative_path
from tests.support import servers
from tests.support.disks import small_disk
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.kill_points import STEPS
from tests.support.stacks import ROOT, Feed, Stack

# More of them: RANDOM_KILLS=1000 pytest tests/system/test_crashes.py -k moment -rP
N_RANDOM_KILLS = int(os.environ.get("RANDOM_KILLS", "120"))
_START = """
import django
django.setup()
from tests.support import full_disks, kill_points
kill_points.main(kill_points.TASKS | full_disks.TASKS)
"""


class Crasher:
    """The process of `kill_points.py`, on a folder of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._log = (stack.folder / "crashing.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            cwd=ROOT, env=stack.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip

    def ask(self, do: str, **task: Any) -> dict[str, Any]:
        """Have a task done; fail with the child's own words when it found a problem."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        whole_task = {"do": do, "n_bars": 300, "has_old": True, **task}
        self._process.stdin.write(json.dumps(whole_task) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], 60)
        assert ready, f"{whole_task} did not end"
        outcome: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "problem" not in outcome, f"{whole_task}: {outcome['problem']}"
        return outcome

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()
        self.stack.stop()


@pytest.fixture(scope="module")
def frozen_feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """A feed whose clock stands still: it sends the same bars for ever."""
    running = Feed(tmp_path_factory.mktemp("frozen"), "--now", "2025-06-01T00:30:00Z")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def crasher(frozen_feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crasher]:
    with _crasher(Stack(tmp_path_factory.mktemp("crashes"), frozen_feed)) as running:
        yield running


@pytest.fixture(scope="module")
def crasher_on_postgresql(
    frozen_feed: Feed, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crasher]:
    """A crasher whose catalog is a database of its own in PostgreSQL."""
    url = servers.new_database(postgresql_url, "crashes")
    folder = tmp_path_factory.mktemp("postgresql")
    with _crasher(Stack(folder, frozen_feed, DATABASE_URL=url)) as running:
        yield running


@pytest.fixture(scope="module")
def crasher_on_a_small_disk(
    frozen_feed: Feed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crasher]:
    """A crasher whose datasets, and nothing else, are on a disk of 512 KB."""
    stack = Stack(tmp_path_factory.mktemp("small"), frozen_feed)
    stack.datasets_folder.mkdir()
    with small_disk(stack.datasets_folder, "512k"), _crasher(stack) as running:
        yield running


# --- killed ------------------------------------------------------------------------------


@pytest.mark.parametrize("has_old", [True, False], ids=["replacing", "first"])
@pytest.mark.parametrize("step", STEPS)
def test_a_fetch_killed_at_a_step_leaves_the_old_dataset_or_the_new_one_and_is_taken_over(
    crasher: Crasher, step: str, has_old: bool
) -> None:
    for _ in range(2):
        _kill_at(step, crasher, has_old=has_old)


@pytest.mark.parametrize(
    "has_old",
    [True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["replacing", "first"],
)
@pytest.mark.parametrize("step", STEPS)
def test_a_fetch_killed_at_a_step_is_taken_over_on_postgresql_too(
    crasher_on_postgresql: Crasher, step: str, has_old: bool
) -> None:
    _kill_at(step, crasher_on_postgresql, has_old=has_old)


def _kill_at(step: str, crasher: Crasher, *, has_old: bool) -> None:
    expected = STEPS[step]
    file = "none" if expected.file == "old" and not has_old else expected.file

    left = crasher.ask("crash", step=step, has_old=has_old)

    assert left["killed"]
    assert (left["fetch"], left["file"], left["strays"]) == (
        expected.fetch,
        file,
        expected.n_strays,
    )
    assert left["attempts"] == (2 if left["fetch"] == "running" else 1)


@pytest.mark.parametrize("since", ["fetch", "writing"])
@pytest.mark.slow
def test_a_fetch_killed_at_any_moment_leaves_the_old_dataset_or_the_new_one_and_is_taken_over(
    crasher: Crasher, since: str
) -> None:
    durations = [crasher.ask("measure") for _ in range(5)]
    seconds = min(duration[since] for duration in durations)
    outcomes: Counter[str] = Counter()

    while (
        sum(n for outcome, n in outcomes.items() if outcome.startswith("killed")) < N_RANDOM_KILLS
    ):
        has_old = random.random() < 0.7
        # One fetch may meet several kills, one after the other.
        n_kills = random.choice([1, 1, 2, 3])
        for number in range(n_kills):
            left = crasher.ask(
                "crash", has_old=has_old, again=number > 0, follows=number < n_kills - 1,
                since=since, seconds=random.uniform(0, seconds),
            )  # fmt: skip
            outcomes[_sentence(left)] += 1
            # Few are to come too late, and no moment is to be left out.
            seconds *= 1.01 if left["killed"] else 0.95
            if left["fetch"] == "succeeded":
                break

    # Shown by `pytest -rP`.
    for sentence, n_times in outcomes.most_common():
        sys.stdout.write(f"{n_times:4} {sentence}\n")


def _sentence(left: dict[str, Any]) -> str:
    end = "killed" if left["killed"] else "ended before the kill"
    return (
        f"{end}: fetch {left['fetch']}, file {left['file']}, row {left['row']}, "
        f"temporary files {left['strays']}; served {left['served']}"
    )


def test_a_file_just_opened_is_not_lost_to_a_worker_that_starts(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = a_key()
    n_removed = []

    def sweep_first(file: Any, operation: int) -> None:
        monkeypatch.undo()
        n_removed.append(store.remove_strays())
        fcntl.flock(file, operation)

    monkeypatch.setattr("fcntl.flock", sweep_first)
    store.write(key, fetched_bars(bars_table(5)))

    assert n_removed == [1]
    assert store.read(relative_path(key))[0].num_rows == 5
    found = {path.name for path in store.path(key).parent.iterdir()}
    assert found == {store.path(key).name, MARKER}


# --- run out of something ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"of": "descriptors", "left": 1}, "Too many open files"),
        ({"of": "descriptors", "left": 0, "when": "writing"}, "Too many open files"),
        ({"of": "descriptors", "left": 1, "when": "writing"}, "Too many open files"),
        ({"of": "file size", "left": 5000, "when": "writing"}, "File too large"),
        ({"of": "file size", "left": 0, "when": "writing"}, "File too large"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_fetch_that_runs_out_is_store_failed_and_the_old_dataset_is_served(
    crasher: Crasher, task: dict[str, Any], reason: str
) -> None:
    outcome = crasher.ask("starve", **task)

    assert reason in outcome.pop("message")
    assert outcome == {
        "escaped": "",
        "fetch": "failed",
        "code": "store_failed",
        "is_untouched": True,
        "strays": 0,
        "served": "old",
    }


@pytest.mark.parametrize(
    ("task", "code", "reason"),
    [
        ({"of": "descriptors", "left": 0}, "state_unavailable", "unable to open"),
        ({"of": "folder"}, "store_unavailable", "may not be mounted"),
    ],
    ids=["the throttle", "the folder"],
)
def test_a_fetch_that_cannot_use_a_disk_is_tried_later_and_the_old_dataset_is_served(
    crasher: Crasher, task: dict[str, Any], code: str, reason: str
) -> None:
    outcome = crasher.ask("starve", **task)

    assert reason in outcome.pop("message")
    assert outcome == {
        "escaped": "",
        "fetch": "queued",
        "code": code,
        "is_untouched": True,
        "strays": 0,
        "served": "old",
    }


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"of": "room", "left": 4096}, "No space left on device"),
        ({"of": "room", "left": 0}, "No space left on device"),
        ({"of": "permission"}, "Read-only file system"),
    ],
    ids=["nearly full", "full", "read-only"],
)
def test_a_full_or_read_only_disk_is_store_failed_and_the_old_dataset_is_served_meanwhile(
    crasher_on_a_small_disk: Crasher, task: dict[str, Any], reason: str
) -> None:
    outcome = crasher_on_a_small_disk.ask("starve", reads=True, **task)

    assert reason in outcome.pop("message")
    assert outcome == {
        "escaped": "",
        "served_meanwhile": "old",
        "fetch": "failed",
        "code": "store_failed",
        "is_untouched": True,
        "strays": 0,
        "served": "old",
    }


@pytest.mark.slow
def test_where_the_catalogs_disk_is_full_too_bars_are_served_and_the_fetch_is_done_later(
    frozen_feed: Feed, tmp_path: Path
) -> None:
    with small_disk(tmp_path, "8m"):
        stack = Stack(tmp_path, frozen_feed)
        with _crasher(stack) as crasher:
            for left in range(0, 60_000, 6_000):
                # A fetch that does not end is taken over when there is room again.
                outcome = crasher.ask("starve", of="room", left=left, reads=True)

                now = "old" if outcome["is_untouched"] else "new"
                assert outcome["served"] == outcome["served_meanwhile"] == now
                assert outcome["fetch"] in ("queued", "running", "succeeded", "failed")
                assert outcome["strays"] == 0


def test_bars_are_served_while_the_catalog_cannot_be_written(crasher: Crasher) -> None:
    """A worker was killed after the rename and before the row, and then the disk was full."""
    recorded = crasher.ask("read", of="file size", left=0)
    unrecorded = crasher.ask("read", of="file size", left=0, unrecorded=True)

    assert recorded == {"served_meanwhile": "old", "served": "old"}
    assert unrecorded == {"served_meanwhile": "new", "served": "new"}


def test_too_many_open_files_do_not_make_a_dataset_corrupt(crasher: Crasher) -> None:
    outcome = crasher.ask("read", of="descriptors", left=0)

    assert outcome == {"code": "store_failed", "served": "old"}


def test_a_folder_that_is_none_is_named_and_marks_no_dataset(crasher: Crasher) -> None:
    outcome = crasher.ask("read", of="folder")

    assert outcome == {"code": "store_unavailable", "served": "old"}


def test_a_folder_that_cannot_be_opened_is_found_before_the_file_is_replaced(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = a_key()
    store.write(key, fetched_bars(bars_table(3)))

    def refuse(*arguments: Any, **options: Any) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("os.open", refuse)
        with pytest.raises(StoreFailed, match="Too many open files"):
            store.write(key, fetched_bars(bars_table(5)))

    assert store.read(relative_path(key))[0].num_rows == 3


@contextmanager
def _crasher(stack: Stack) -> Iterator[Crasher]:
    running = Crasher(stack)
    try:
        yield running
    finally:
        running.stop()
