"""Fetches that are killed: a forked child runs each fetch, and another child reports what is left.

`test_crashes.py` starts this program. Each line of the input is a task as a JSON object; each
line of the output is its outcome. The parent opens no connection, so its children share none.
"""

from __future__ import annotations

import fcntl
import gc
import io
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from datasets import catalog, serving
from datasets.archive import arrivals
from datasets.archive.conversion import convert_datasets
from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS, DatasetKey, FetchedBars, content_hash
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import outputs, records
from datasets.fetching import attempt, feed_clients, fetch_queue, leases, throttle
from datasets.formats import FORMATS
from datasets.models import Dataset, Fetch, Series
from datasets.serving import usage
from datasets.serving.bars_request import BarsRequest
from datasets.serving.reply_bodies import bodies
from datasets.serving.trust import distrust_all
from datasets.storage import atomic_write, dataset_file, folder_store, paths
from datasets.storage.archives.archive_paths import STAGED
from datasets.storage.archives.archive_queries import read_newest
from datasets.storage.archives.series_writer import SeriesWriter, writing
from datasets.tradingview import client
from datasets.tradingview.connection import Connection
from tests.support.factories import a_key, bars_table, fetched_bars

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A step of a fetch, and the expected state after a kill at this step."""

    owner: Any
    function: str
    is_after: bool = False
    fetch: str = "running"
    file: str = "old"
    n_strays: int = 0
    # Only a call that has a file in this folder counts.
    folder: str = ""


STEPS = {
    "before the claim": Step(leases, "claim", fetch="queued"),
    "claimed": Step(leases, "claim", is_after=True),
    "waiting for a call": Step(throttle, "wait_for_call"),
    "connected": Step(client, "open_connection", is_after=True),
    "waiting for the feed": Step(Connection, "receive"),
    "some bars came": Step(attempt.Attempt, "note_bars"),
    "all bars came": Step(client.FeedClient, "fetch_bars", is_after=True),
    "archive locked": Step(fcntl, "flock", is_after=True, folder="archive"),
    "archive synced": Step(os, "fsync", is_after=True, folder="archive"),
    "archive prepared": Step(SeriesWriter, "prepare", is_after=True),
    "file opened": Step(fcntl, "flock", n_strays=1, folder="datasets"),
    "file locked": Step(pq, "write_table", n_strays=1, folder="datasets"),
    "half written": Step(pq, "write_table", n_strays=1, folder="datasets"),
    "written": Step(os, "fsync", n_strays=1, folder="datasets"),
    "synced": Step(os, "fsync", is_after=True, n_strays=1, folder="datasets"),
    "transaction begun": Step(arrivals.PreparedArrival, "put_in_place", n_strays=1),
    "archive in force": Step(SeriesWriter, "commit", is_after=True, n_strays=1),
    "series recorded": Step(arrivals, "record_series", is_after=True, n_strays=1),
    "before the rename": Step(folder_store.PreparedRename, "put_in_place", n_strays=1),
    "renamed": Step(Path, "replace", is_after=True, file="new", folder="datasets"),
    "put in place": Step(folder_store.PreparedRename, "put_in_place", is_after=True, file="new"),
    "row recorded": Step(arrivals, "record_row", is_after=True, file="new"),
    "before the commit": Step(BaseDatabaseWrapper, "_commit", file="new"),
    "committed": Step(
        BaseDatabaseWrapper, "_commit", is_after=True, file="new", fetch="succeeded"
    ),
    "folder synced": Step(
        atomic_write, "sync_folder", is_after=True, file="new", fetch="succeeded"
    ),
    "done": Step(attempt.Attempt, "run", is_after=True, file="new", fetch="succeeded"),
}  # fmt: skip


def main(tasks: dict[str, Callable[[Outcome], Outcome]]) -> None:
    """Do one of the tasks for each line of the input."""
    # Objects that exist now are not copied for each child.
    gc.freeze()
    for line in sys.stdin:
        task = json.loads(line)
        sys.stdout.write(json.dumps(tasks[task["do"]](task)) + "\n")
        sys.stdout.flush()


# --- children ----------------------------------------------------------------------------


class Child:
    """A forked child that runs `work`; one pipe carries messages to the child, another carries its messages."""

    def __init__(self, work: Callable[[int, int], None]) -> None:
        hear, self._tell = os.pipe()
        self._hear, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._tell)
            _work_and_exit(work, hear, tell)
        os.close(hear)
        os.close(tell)

    def tell(self, words: object) -> None:
        _write_all(self._tell, orjson.dumps(words) + b"\n")

    def hear(self) -> Any:
        """Return the next message of the child; None at its end."""
        return _receive(self._hear)

    def has_ended_within(self, seconds: float) -> bool:
        """Return whether the child ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._hear], [], [], left)[0] and self.hear() is None:
                return True
        return False

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> bool:
        """Wait for its end; return whether it was killed."""
        status = os.waitpid(self.pid, 0)[1]
        os.close(self._tell)
        os.close(self._hear)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _work_and_exit(work: Callable[[int, int], None], hear: int, tell: int) -> None:
    status = 1
    try:
        work(hear, tell)
        status = 0
    except Exception:  # noqa: BLE001
        send(tell, {"problem": traceback.format_exc()})
    finally:
        os._exit(status)


def _receive(descriptor: int) -> Any:
    line = b""
    while not line.endswith(b"\n"):
        letter = os.read(descriptor, 1)
        if not letter:
            return None
        line += letter
    return orjson.loads(line)


def send(descriptor: int, words: object) -> None:
    """Write something as a line of JSON."""
    _write_all(descriptor, orjson.dumps(words) + b"\n")


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def in_a_child(work: Callable[[], Outcome]) -> Outcome:
    """Run `work` in a forked child, which leaves nothing in this process; return its result."""
    child = Child(lambda hear, tell: send(tell, work()))
    outcome: Outcome | None = child.hear()
    child.end()
    return {"problem": "the child died"} if outcome is None else outcome


# --- killing -----------------------------------------------------------------------------


# The child that inspected the state after the last kill; it runs the next fetch.
_heirs: list[Child] = []


def crash(task: Outcome) -> Outcome:
    """Kill a fetch at a step or at a moment; return the state that it left.

    `step` names the step; `seconds` are counted from `since`, the fetch's start or that of
    its writing. With `again` it takes over the fetch that the last kill left. It is then
    finished, as after the next start, unless another kill `follows`.
    """
    child = _heirs.pop() if _heirs else Child(_be_killed)
    child.tell(task)
    problem = _watch(child, task)
    was_killed = child.end()
    if problem is not None:
        return problem
    heir = Child(lambda hear, tell: _look_and_be_killed(task, hear, tell))
    outcome: Outcome = heir.hear()
    if "problem" in outcome:
        heir.end()
        return outcome
    _heirs.append(heir)
    return {"killed": was_killed, **outcome}


def _watch(child: Child, task: Outcome) -> Outcome | None:
    """Kill the child at the moment of the task, and wait for its end; return its problem, if there is one."""
    while (told := child.hear()) is not None:
        if isinstance(told, dict):
            return told
        if told == task.get("since") and not child.has_ended_within(task["seconds"]):
            child.kill()
    return None


def _look_and_be_killed(task: Outcome, hear: int, tell: int) -> None:
    outcome = _look_and_recover(task)
    # The next fetch must open its own connection, as the first fetch of a process does.
    feed_clients.feed_client().close()
    send(tell, outcome)
    _be_killed(hear, tell)


def _be_killed(hear: int, tell: int) -> None:
    task = _receive(hear)
    # There is no task after the last one.
    if task is not None:
        _fetch_to_be_killed(task, tell)


def measure(task: Outcome) -> Outcome:
    """Return the seconds of a whole fetch and of its writing."""
    child = Child(lambda hear, tell: _fetch_to_be_killed(task, tell))
    began = {}
    while isinstance(told := child.hear(), str):
        began[told] = time.monotonic()
    child.end()
    if told is not None:
        problem: Outcome = told
        return problem
    return {name: time.monotonic() - began[name] for name in ("fetch", "writing")}


def _fetch_to_be_killed(task: Outcome, tell: int) -> None:
    fetch_id = _lost() if task.get("again") else prepare(task).pk
    real_prepared = folder_store.FolderStore.prepared

    def prepared(
        self: folder_store.FolderStore, key: DatasetKey, fetched: FetchedBars
    ) -> AbstractContextManager[dataset_file.PreparedFile]:
        send(tell, "writing")
        return real_prepared(self, key, fetched)

    folder_store.FolderStore.prepared = prepared  # type: ignore[assignment, method-assign]
    if "step" in task:
        _die_at(task["step"])
    send(tell, "fetch")
    attempt.run_fetch(fetch_id)


def prepare(task: Outcome) -> Fetch:
    """Store the old dataset if the task has one, and open a new fetch."""
    key = key_of(task)
    new_bars(key.n_bars)
    if Dataset.find(_bystander()) is None:
        _keep_old(_bystander())
    if task["has_old"]:
        _keep_old(key)
    else:
        Dataset.objects.filter(**key.as_dict()).delete()
        outputs.get_folder_store().path(key).unlink(missing_ok=True)
    # A fetch that a failed test has left.
    Fetch.objects.filter(state__in=Fetch.ACTIVE).delete()
    fetch, is_new = fetch_queue.open_fetch(key, via="api")
    assert is_new
    return fetch


def _die_at(step_name: str) -> None:
    step = STEPS[step_name]
    real = getattr(step.owner, step.function)

    def die(*arguments: Any, **options: Any) -> Any:
        if step.folder and not _is_in(step.folder, arguments):
            return real(*arguments, **options)
        if step_name == "half written":
            _write_half(real, *arguments, **options)
        elif step.is_after:
            real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(step.owner, step.function, die)


def _is_in(folder: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether a path, an open file or a descriptor among the arguments is below the folder."""
    names = []
    for each in arguments:
        if isinstance(each, int):
            with suppress(OSError):
                names.append(str(Path(f"/proc/self/fd/{each}").readlink()))
        else:
            names.append(str(getattr(each, "name", each) if not isinstance(each, Path) else each))
    return any(f"/outputs/{folder}/" in name for name in names)


def _write_half(write_table: Any, table: pa.Table, file: Any, **options: Any) -> None:
    whole = io.BytesIO()
    write_table(table, whole, **options)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()


# --- looking -----------------------------------------------------------------------------


def _look_and_recover(task: Outcome) -> Outcome:
    outcome = _look(task)
    if outcome["fetch"] == Fetch.State.SUCCEEDED or not task.get("follows"):
        outcome |= recover(task)
    return outcome


def _look(task: Outcome) -> Outcome:
    """Return the state after a killed fetch; check that file, row and reply agree."""
    fetch = Fetch.objects.latest("pk")
    left = {
        "fetch": fetch.state,
        "file": _in_file(task),
        "row": _in_row(task),
        "strays": len(strays()),
    }
    given = served(task)
    _check_ready_rows()
    assert not (folder().parent / "quarantine").exists(), "a whole file was moved to quarantine"
    # A reader gets the file on disk, also when the row was not updated.
    assert given == ("none" if left["row"] == "none" else left["file"]), (given, left)
    assert given in (("old", "new") if task["has_old"] else ("none", "new")), left
    assert fetch.state in ("queued", "running", "succeeded"), fetch.error_message
    if fetch.state == Fetch.State.SUCCEEDED:
        assert given == "new", left
    return {**left, "served": given}


def recover(task: Outcome) -> Outcome:
    """Do the steps of a starting worker, and finish the fetch."""
    n_strays = len(strays())
    assert outputs.get_store().remove_strays() == n_strays
    assert not strays()
    fetch = Fetch.objects.latest("pk")
    if not fetch.is_finished:
        assert _lost() == fetch.pk
        attempt.run_fetch(fetch.pk)
        fetch.refresh_from_db()
    assert fetch.state == Fetch.State.SUCCEEDED, (fetch.state, fetch.error_message)
    assert (served(task), _in_row(task), _in_file(task)) == ("new", "new", "new")
    _check_ready_rows()
    _check_archive(task)
    assert not strays()
    return {"attempts": fetch.attempts, "strays_removed": n_strays}


def _check_archive(task: Outcome) -> None:
    """Check that the archive has the bars that the feed sent, and no trace of the killed writer."""
    folder_found = folder_of(SeriesKey.of(key_of(task)))
    held = read_newest(folder_found, task["n_bars"]).rows.select(BAR_COLUMNS)
    assert held.equals(_bars("new", task))
    # A writer that was killed after it had committed leaves the last renames to the next writer.
    with writing(folder_found):
        assert list((folder_found.path / STAGED).iterdir()) == []
    series = Series.find(SeriesKey.of(key_of(task)))
    assert series is not None
    document = folder_found.document()
    assert document is not None
    assert (series.sequence, series.n_rows) == (document.sequence, document.n_rows)


def _lost() -> int:
    fetch_id = lost_fetch()
    assert fetch_id is not None
    return fetch_id


def lost_fetch() -> int | None:
    """End the lease of the fetch, so that a sweep finds it; return its primary key, if there is one."""
    past = timezone.now() - timedelta(minutes=5)
    Fetch.objects.filter(state=Fetch.State.RUNNING).update(lease_until=past)
    Fetch.objects.filter(state=Fetch.State.QUEUED).update(next_attempt_at=None)
    found = fetch_queue.next_fetches(at_most=10)
    assert len(found) <= 1
    return found[0] if found else None


def _check_ready_rows() -> None:
    """Check that the file of every ready dataset is whole and is the file that its row describes."""
    for dataset in Dataset.objects.filter(state=Dataset.State.READY):
        table = catalog.read(dataset)
        assert content_hash(table) == dataset.content_hash
        assert table.num_rows == dataset.n_rows


def served(task: Outcome) -> str:
    """Return the bars of a request: `old`, `new` or `none`; fail for any other bars."""
    # A web process trusts what it has looked up for 250 ms.
    distrust_all()
    request = BarsRequest(key_of(task), wait_s=0)
    answer = serving.find_cached(request)
    if answer is None:
        return "none"
    body = orjson.loads(bodies.render(answer, request, accepts_gzip=False).body)
    bars = {
        name: orjson.loads(FORMATS["json"].render(_bars(name, task))) for name in ("old", "new")
    }
    (name,) = (name for name in bars if body["ohlc"] == bars[name])
    assert body["content_hash"] == content_hash(_bars(name, task))
    assert body["count"] == task["n_bars"]
    usage.flush()
    return name


def _bars(name: str, task: Outcome) -> pa.Table:
    """Return the bars of the old or of the new dataset."""
    if name == "old":
        return bars_table(task["n_bars"])
    return new_bars(task["n_bars"])


def new_bars(n_bars: int) -> pa.Table:
    """Return the bars that the feed sends."""
    # The feed's clock stands still, so that it always sends the same bars.
    path = folder().parent / "reference" / f"{n_bars}.arrow"
    if not path.exists():
        key = a_key(n_bars=n_bars)
        fetched = feed_clients.feed_client().fetch_bars(key)
        # The killed fetch must open its own connection.
        feed_clients.feed_client().close()
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, fetched.table.schema) as out:
            out.write_table(fetched.table)
    with pa.OSFile(str(path), "rb") as file:
        return pa.ipc.open_file(file).read_all()


def _in_file(task: Outcome) -> str:
    path = paths.relative_path(key_of(task))
    if not (folder() / path).exists():
        return "none"
    return _name_of(content_hash(outputs.get_store().read(path)[0]), task)


def _in_row(task: Outcome) -> str:
    dataset = Dataset.find(key_of(task))
    return "none" if dataset is None else _name_of(dataset.content_hash, task)


def _name_of(hash_found: str, task: Outcome) -> str:
    (name,) = (name for name in ("old", "new") if content_hash(_bars(name, task)) == hash_found)
    return name


def strays() -> list[Path]:
    return [path for path in folder().rglob("*") if path.name.endswith(".tmp")]


def folder() -> Path:
    return outputs.get_folder_store().folder


def key_of(task: Outcome) -> DatasetKey:
    return a_key(n_bars=task["n_bars"])


def _bystander() -> DatasetKey:
    return a_key(symbol="ETHUSDT", n_bars=100)


def _keep_old(key: DatasetKey) -> None:
    records.record(outputs.get_store().write(key, fetched_bars(bars_table(key.n_bars))))
    assert all(finding.outcome == "ok" for finding in convert_datasets())


TASKS = {
    "crash": crash,
    "measure": measure,
}
