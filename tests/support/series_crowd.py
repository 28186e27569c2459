"""Processes that change one series at the same time: fetches of several sizes, decisions, rebuilds and imports.

`test_series_crowd.py` starts this program.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection

from datasets import catalog
from datasets.archive import decisions
from datasets.archive.following.recovery import recover_archives
from datasets.archive.series_rows import adopt_series, folder_of
from datasets.bars import IMPORTED
from datasets.bars.series_keys import SeriesKey
from datasets.errors import InvalidRequest, StoreError
from datasets.fetching import fetch_queue, tasks
from datasets.importing.imports import import_bars
from datasets.models import Dataset, Fetch, Revision
from datasets.storage.archives.archive_queries import read_newest
from tests.support.archive_kills import SIZES, World, check_series, note_received, set_clock
from tests.support.archives import plain_bars
from tests.support.changing_feed import read_history
from tests.support.factories import a_key, fetched_bars
from tests.support.kill_points import Child, Outcome, send

KEY = a_key(symbol="COIN")
IMPORTED_KEY = SeriesKey.of(a_key(symbol="COIN", source=IMPORTED))


def main(n_processes: int, seconds: float, feed_folder: Path, received: Path) -> None:
    """Let the processes work for the given seconds, check the series, and print what was done."""
    world, chance = World("BINANCE:COIN"), random.Random(os.getpid())
    world.advance(chance)
    world.history(chance).publish(feed_folder)
    children = [
        Child(lambda hear, tell: send(tell, _work(seconds, feed_folder, received)))
        for _ in range(n_processes)
    ]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.25)
        world.advance(chance)
        world.history(chance).publish(feed_folder)
    done = [child.hear() for child in children]
    for child in children:
        child.end()
    checking = Child(lambda hear, tell: send(tell, _finish(feed_folder, received)))
    done.append(checking.hear())
    checking.end()
    sys.stdout.write(json.dumps(done))


def _work(seconds: float, feed_folder: Path, received: Path) -> Outcome:
    note_received(received)
    random.seed(os.getpid())
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        set_clock(lambda: datetime.fromtimestamp(read_history(feed_folder).now, UTC))
        (deed,) = random.choices(list(_DEEDS), weights=list(_DEEDS.values()))
        try:
            counts[deed()] += 1
        except Exception as error:  # noqa: BLE001
            counts[f"error in {deed.__name__}: {error!r}"] += 1
    connection.close()
    return counts


def _fetch() -> str:
    fetch, is_new = fetch_queue.open_fetch(
        a_key(symbol="COIN", n_bars=random.choice(SIZES)), via="api"
    )
    if not is_new:
        return "joined"
    tasks.attempt(fetch.pk)
    return "fetched"


def _decide() -> str:
    revision = Revision.objects.filter(state=Revision.State.OPEN).order_by("?").first()
    if revision is None:
        return "nothing to decide"
    try:
        random.choice([decisions.accept_new, decisions.keep_old])(revision, by="ann")
    except InvalidRequest:
        # Decided meanwhile, or a change of the basis, which cannot be kept old.
        return "refused"
    return "decided"


def _rebuild() -> str:
    findings = [*catalog.adopt_files(), *catalog.find_missing(), *adopt_series()]
    found = {finding.outcome for finding in findings}
    assert found <= {"ok", "adopted"}, findings
    return "rebuilt"


def _recover() -> str:
    list(recover_archives())
    return "recovered"


def _import() -> str:
    first = random.randrange(50)
    import_bars(
        IMPORTED_KEY, fetched_bars(plain_bars(range(first, 100)), fetched_at=datetime.now(UTC))
    )
    return "imported"


def _read() -> str:
    folder = folder_of(SeriesKey.of(KEY))
    if folder.document() is not None:
        assert read_newest(folder, 300).rows.num_rows > 0
    for dataset in Dataset.objects.filter(state=Dataset.State.READY):
        try:
            catalog.read(dataset)
        except StoreError:
            return "overtaken"
    return "read"


_DEEDS: dict[Callable[[], str], int] = {
    _fetch: 8, _decide: 2, _rebuild: 1, _recover: 1, _import: 1, _read: 3,
}  # fmt: skip


def _finish(feed_folder: Path, received: Path) -> Outcome:
    """Do the fetches that wait for another attempt, and check the series."""
    note_received(received)
    set_clock(lambda: datetime.fromtimestamp(read_history(feed_folder).now, UTC))
    Fetch.objects.filter(state=Fetch.State.QUEUED).update(next_attempt_at=None)
    for number in fetch_queue.next_fetches(at_most=100):
        tasks.attempt(number)
    states = Fetch.objects.order_by().values_list("state", "error_code").distinct()
    assert list(states) == [("succeeded", "")], list(states)
    counts = check_series(KEY, received)
    return counts + check_series(IMPORTED_KEY.dataset(1), received)
