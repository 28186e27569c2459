"""Fetches and readers with a shortage, such as a full disk; `test_crashes.py` starts this program."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from datasets.bars import DatasetKey, FetchedBars
from datasets.catalog import outputs
from datasets.errors import FetchError
from datasets.fetching import fetch_queue, tasks, throttle
from datasets.storage import dataset_file, folder_store
from tests.support import disks
from tests.support.factories import fetched_bars
from tests.support.kill_points import (
    Outcome,
    folder,
    in_a_child,
    key_of,
    new_bars,
    prepare,
    recover,
    served,
    strays,
)


def starve(task: Outcome) -> Outcome:
    """Run a fetch with a shortage of `of`, from its start or during its write; return the outcome."""
    return in_a_child(lambda: _starve(task))


def read(task: Outcome) -> Outcome:
    """Run a reader with a shortage of `of`; with `unrecorded` the file has no row yet."""
    return in_a_child(lambda: _read(task))


def _starve(task: Outcome) -> Outcome:
    fetch = prepare(task)
    # The log of calls exists: to create its file takes more descriptors than to read it.
    throttle.require_no_cool_down()
    path = outputs.get_folder_store().path(key_of(task))
    before = path.read_bytes()
    outcome: Outcome = {}
    if task.get("when") == "writing":
        _run_out_when_writing(task)
        outcome["escaped"] = _run(fetch.pk)
    else:
        with SHORTAGES[task["of"]](task):
            outcome["escaped"] = _run(fetch.pk)
            if task.get("reads"):
                outcome["served_meanwhile"] = served(task)
    fetch.refresh_from_db()
    outcome |= {
        "fetch": fetch.state,
        "code": fetch.error_code,
        "message": fetch.error_message,
        "is_untouched": path.read_bytes() == before,
        "strays": len(strays()),
        "served": served(task),
    }
    if not fetch.is_finished:
        recover(task)
    return outcome


def _run_out_when_writing(task: Outcome) -> None:
    real_prepared, real_put = (
        folder_store.FolderStore.prepared,
        folder_store.PreparedRename.put_in_place,
    )

    @contextmanager
    def prepared(
        self: folder_store.FolderStore, key: DatasetKey, fetched: FetchedBars
    ) -> Iterator[dataset_file.PreparedFile]:
        with ExitStack() as stack:
            with SHORTAGES[task["of"]](task):
                file = stack.enter_context(real_prepared(self, key, fetched))
            yield file

    def put_in_place(self: folder_store.PreparedRename) -> dataset_file.StoredFile:
        with SHORTAGES[task["of"]](task):
            return real_put(self)

    folder_store.FolderStore.prepared = prepared  # type: ignore[method-assign]
    folder_store.PreparedRename.put_in_place = put_in_place  # type: ignore[method-assign]


def _run(fetch_id: int) -> str:
    try:
        tasks.attempt(fetch_id)
    except FetchError:
        # A retryable error; the task puts the fetch back into the queue.
        return ""
    except Exception as error:  # noqa: BLE001
        return repr(error)
    return ""


def _read(task: Outcome) -> Outcome:
    fetch_queue.cancel(prepare(task))
    if task.get("unrecorded"):
        outputs.get_store().write(key_of(task), fetched_bars(new_bars(task["n_bars"])))
    outcome: Outcome = {}
    with SHORTAGES[task["of"]](task):
        try:
            outcome["served_meanwhile"] = served(task)
        except FetchError as error:
            outcome["code"] = error.code
    return outcome | {"served": served(task)}


# --- shortages ---------------------------------------------------------------------------


@contextmanager
def _few_descriptors(task: Outcome) -> Iterator[None]:
    free = [os.open("/dev/null", os.O_RDONLY) for _ in range(task["left"] + 1)]
    for descriptor in free:
        os.close(descriptor)
    with _limit(resource.RLIMIT_NOFILE, free[-1]):
        yield


@contextmanager
def _small_files(task: Outcome) -> Iterator[None]:
    # Python ignores the signal SIGXFSZ, so the write raises an OSError.
    with _limit(resource.RLIMIT_FSIZE, task["left"]):
        yield


@contextmanager
def _limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


@contextmanager
def _full_disk(task: Outcome) -> Iterator[None]:
    with disks.full(folder(), left=task["left"]):
        yield


@contextmanager
def _read_only_disk(task: Outcome) -> Iterator[None]:
    with disks.read_only(folder()):
        yield


@contextmanager
def _file_for_a_folder(task: Outcome) -> Iterator[None]:
    place = outputs.get_folder_store().path(key_of(task)).parent
    aside = place.with_name("aside")
    place.rename(aside)
    place.write_text("no folder")
    try:
        yield
    finally:
        place.unlink()
        aside.rename(place)


SHORTAGES = {
    "descriptors": _few_descriptors,
    "file size": _small_files,
    "room": _full_disk,
    "permission": _read_only_disk,
    "folder": _file_for_a_folder,
}
TASKS: dict[str, Callable[[Outcome], Outcome]] = {"starve": starve, "read": read}
