"""Fetches that are killed at random moments while the feed's history changes: no bar may be lost.

`test_archive_kills.py` starts this program. Each round changes the feed's history, kills one fetch
or more, starts the service again, and compares all files and rows with the bars that were received.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection
from django.utils import timezone

from datasets.archive import decisions
from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS, DatasetKey, FetchedBars, content_hash
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import outputs
from datasets.errors import InvalidRequest
from datasets.fetching import attempt, feed_clients, fetch_queue, tasks
from datasets.models import Dataset, Fetch, Revision, Series
from datasets.storage import folder_store
from datasets.storage.archives.archive_files import times_of
from datasets.storage.archives.archive_paths import REVISIONS, STAGED
from datasets.storage.archives.archive_queries import read_newest, read_range
from datasets.storage.archives.revision_records import read_records
from datasets.storage.archives.series_document import SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder
from datasets.tradingview import conversation
from tests.support.archives import kept_rows, plain_bar, rows_of
from tests.support.changing_feed import History
from tests.support.factories import a_key
from tests.support.kill_points import Child, Outcome, in_a_child, lost_fetch, send

Deed = Callable[[DatasetKey, int], None]

# The last hours of a year and the first of the next: two files of years.
FIRST_HOUR = int(datetime(2024, 12, 1, tzinfo=UTC).timestamp())
FIRST_WINDOW = 600
# As `TV_MAX_BARS` of the service: the feed gives no older bars.
WINDOW = 600
SIZES = (100, 300, 600)
# The rounds of one series; the check of a round reads all that the series has.
ROUNDS_EACH = 25


@dataclass
class World:
    """The feed's bars of one symbol, by the hour: they come, are revised, vanish and are split."""

    symbol: str
    rows: dict[int, list[float]] = field(default_factory=dict)
    hour: int = 0
    second: int = 0
    version: int = 0
    level: float = 100.0

    def advance(self, chance: random.Random) -> None:
        """Go on to a later instant, and change what the feed says of the past."""
        self.version += 1
        n_hours = chance.choice([0, 0, 0, 1, 1, 2, 5, 30, 80]) if self.hour else FIRST_WINDOW
        # An outage of the service: the window slides beyond the bars that are held.
        n_hours = WINDOW + 50 if self.hour and chance.random() < 0.03 else n_hours
        self.second = self.second + chance.randrange(0, 40) if not n_hours else chance.randrange(60)
        for hour in range(self.hour, self.hour + n_hours + 1):
            self.rows[hour] = list(plain_bar(hour, self.level))
        self.hour += n_hours
        # The bar that forms.
        self._revise(self.hour, chance, by=self.version % 10 * 0.01)
        final = sorted(self.rows)[-WINDOW:-1]
        if chance.random() < 0.3:
            for hour in chance.sample(final, min(len(final), chance.randrange(1, 4))):
                self._revise(hour, chance, by=0.01)
        if chance.random() < 0.2:
            for hour in chance.sample(final, min(len(final), 3)):
                self.rows[hour][4] += 7
        if chance.random() < 0.15:
            for hour in chance.sample(final, 2):
                del self.rows[hour]
        if chance.random() < 0.06:
            self._split(0.25)

    def _revise(self, hour: int, chance: random.Random, *, by: float) -> None:
        opens, high, low, close, volume = self.rows[hour]
        close = round(close + by, 6)
        self.rows[hour] = [opens, max(high, close), min(low, close), close, volume]

    def _split(self, factor: float) -> None:
        self.level = round(self.level * factor, 6)
        for hour, (*prices, volume) in self.rows.items():
            if hour < self.hour:
                self.rows[hour] = [*(round(price * factor, 6) for price in prices), volume]
        self.rows[self.hour] = list(plain_bar(self.hour, self.level))
        # Levels below some units have too few decimals for more splits.
        if self.level < 20:
            self.level = 100.0

    def history(self, chance: random.Random) -> History:
        """Return the feed's reply of this instant, which can lack some bars."""
        now = FIRST_HOUR + 3600 * self.hour + self.second
        missing = set(chance.sample(sorted(self.rows), 3)) if chance.random() < 0.15 else set()
        hours = sorted(self.rows.keys() - missing)[-WINDOW:]
        rows = [[FIRST_HOUR + 3600 * hour, *self.rows[hour]] for hour in hours]
        return History(self.symbol, self.version, now, FIRST_HOUR + 3600 * (hours[-1] + 1), rows)


def main(n_rounds: int, seed: int, feed_folder: Path, received: Path) -> None:
    """Do the rounds, and print how many fetches were killed, in which states, and what followed."""
    gc.freeze()
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    longest = {"fetch": 0.2, "writing": 0.1}
    world = World("")
    for number in range(n_rounds):
        if number % ROUNDS_EACH == 0:
            world = World(f"BINANCE:COIN{number // ROUNDS_EACH}")
        world.advance(chance)
        world.history(chance).publish(feed_folder)
        counts.update(_round(world, chance, longest, received, f"seed {seed}, round {number}"))
    sys.stdout.write(json.dumps(counts))


def _round(
    world: World, chance: random.Random, longest: dict[str, float], received: Path, name: str
) -> Counter[str]:
    counts = Counter(rounds=1)
    now = datetime.fromtimestamp(FIRST_HOUR + 3600 * world.hour + world.second, UTC)
    key = a_key(symbol=world.symbol.partition(":")[2], n_bars=chance.choice(SIZES))
    is_decision = chance.random() < 0.2
    n_kills = 1 if is_decision else chance.choice([1, 1, 1, 2, 3])
    for kill in range(n_kills):
        since = chance.choice(["fetch", "writing"])
        seconds = chance.uniform(0, longest[since])
        deed = _decide if is_decision else _fetch_again if kill else _fetch_first

        def work(hear: int, tell: int, deed: Deed = deed) -> None:
            _set_up(now, received, tell)
            deed(key, tell)

        was_killed = _kill(work, since, seconds, name=name)
        what = "decisions" if is_decision else "fetches"
        counts[f"{what} {'killed' if was_killed else 'that ended before the kill'}"] += 1
        # Few kills are to come too late, and no moment is to be left out.
        longest[since] *= 1.02 if was_killed else 0.9
        if not was_killed:
            break
    end = chance.choice(["taken over", "taken over", "cancelled"])
    found = in_a_child(lambda: _restart(key, now, received, end))
    assert "problem" not in found, f"{name}: {found['problem']}"
    counts.update(found["counts"])
    return counts


def _kill(work: Callable[[int, int], None], since: str, seconds: float, *, name: str) -> bool:
    """Run a deed, and kill it so long after its start or that of its writing; return whether it was killed."""
    child = Child(work)
    while (told := child.hear()) is not None:
        assert not isinstance(told, dict), f"{name}: {told['problem']}"
        if told == since and not child.has_ended_within(seconds):
            child.kill()
    return child.end()


def _set_up(now: datetime, received: Path, tell: int) -> None:
    """Prepare a process: the clock, the notes of replies, and a message when a dataset is written."""
    _stop_clock(now)
    note_received(received)
    real_prepared = folder_store.FolderStore.prepared

    def prepared(self: folder_store.FolderStore, key: DatasetKey, fetched: FetchedBars) -> Any:
        send(tell, "writing")
        return real_prepared(self, key, fetched)

    folder_store.FolderStore.prepared = prepared  # type: ignore[method-assign]


def _fetch_first(key: DatasetKey, tell: int) -> None:
    fetch, _ = fetch_queue.open_fetch(key, via="api")
    send(tell, "fetch")
    tasks.attempt(fetch.pk)


def _fetch_again(key: DatasetKey, tell: int) -> None:
    """Take the fetch over that the last kill left, unless the kill came after its end."""
    fetch_id = lost_fetch()
    if fetch_id is not None:
        send(tell, "fetch")
        tasks.attempt(fetch_id)


def _decide(key: DatasetKey, tell: int) -> None:
    """Accept or refuse an open revision of the series, as a person does, where one is open."""
    series = {f"series__{name}": value for name, value in SeriesKey.of(key).as_dict().items()}
    revision = Revision.objects.filter(state=Revision.State.OPEN, **series).first()
    if revision is None:
        return
    decide = decisions.keep_old if revision.number % 2 else decisions.accept_new
    send(tell, "fetch")
    with suppress(InvalidRequest):
        # The older values cannot be kept after a change of the basis.
        decide(revision, by="ann")


def _stop_clock(now: datetime) -> None:
    set_clock(lambda: now)
    timezone.now = lambda: now


def set_clock(feed_now: Callable[[], datetime]) -> None:
    """Give the fetches of this process another time, at which the feed answers."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return feed_now()

    conversation.datetime = Clock  # type: ignore[attr-defined]


def note_received(folder: Path) -> None:
    """Keep the bars of each reply in a file, named by the fetch and its attempt."""
    real = attempt.Attempt.fetch_bars

    def fetch_bars(self: attempt.Attempt, key: DatasetKey) -> FetchedBars:
        fetched = real(self, key)
        name = f"{self.fetch.pk}-{self.fetch.attempts}-{uuid4().hex}"
        n_final = fetched.table.num_rows - (not fetched.last_bar_final)
        pq.write_table(fetched.table.slice(0, n_final), folder / f".{name}")
        (folder / f".{name}").replace(folder / f"{name}.parquet")
        return fetched

    attempt.Attempt.fetch_bars = fetch_bars  # type: ignore[method-assign]


# --- after the kill ----------------------------------------------------------------------


def _restart(key: DatasetKey, now: datetime, received: Path, end: str) -> Outcome:
    """Start the service again, bring the fetch to its end, and check everything."""
    _stop_clock(now)
    note_received(received)
    counts: Counter[str] = Counter()
    tasks.clear_up()
    counts.update(check_series(key, received))
    lost = lost_fetch()
    if lost is None:
        counts["left nothing to do"] += 1
    elif end == "cancelled":
        assert fetch_queue.cancel(Fetch.objects.get(pk=lost))
        counts[end] += 1
    else:
        assert tasks.attempt(lost)
        fetch = Fetch.objects.get(pk=lost)
        assert fetch.state == Fetch.State.SUCCEEDED, (fetch.error_code, fetch.error_message)
        counts[end] += 1
    counts.update(check_series(key, received))
    feed_clients.feed_client().close()
    connection.close()
    return {"counts": counts}


def check_series(key: DatasetKey, received: Path) -> Counter[str]:
    """Check that no bar is lost, and that files, documents and rows agree."""
    series = SeriesKey.of(key)
    folder = folder_of(series)
    document = folder.document()
    counts: Counter[str] = Counter()
    if document is None:
        assert Series.find(series) is None
        return counts
    fetches = Fetch.objects.filter(**series.as_dict(), state=Fetch.State.SUCCEEDED)
    rows: set[Any] = set()
    for pk, attempts in fetches.values_list("pk", "attempts"):
        replies = list(received.glob(f"{pk}-{attempts}-*.parquet"))
        assert replies, pk
        rows.update(*(rows_of(pq.read_table(path).select(BAR_COLUMNS)) for path in replies))
    lost = rows - kept_rows(folder)
    assert not lost, f"{len(lost)} bars are lost, such as {min(lost)}"
    counts["bars checked"] += len(rows)
    _check_files(folder, document)
    _check_rows(series, folder, document)
    _check_datasets(series, folder, document)
    return counts


def _check_files(folder: SeriesFolder, document: SeriesDocument) -> None:
    """Check that the folder has the files that its document names, with their bars, and no others."""
    bars = read_range(folder).rows
    assert bars.num_rows == document.n_rows
    assert not list((folder.path / STAGED).iterdir())
    present = sorted(folder.path.glob("*.parquet"))
    assert [path.name for path in present] == [entry.name for entry in document.files]
    assert pa.concat_tables([pq.read_table(path).select(BAR_COLUMNS) for path in present]).equals(
        bars.select(BAR_COLUMNS)
    )
    segments = sorted(folder.path.glob(f"{REVISIONS}/*.parquet"))
    names = [path.relative_to(folder.path).as_posix() for path in segments]
    assert names == [entry.name for entry in document.revision_files]
    hidden = [path.name for path in folder.path.rglob(".*") if path.name != ".lock"]
    assert not hidden, hidden
    assert not list(settings.OUTPUTS_DIR.rglob("*.tmp"))


def _check_rows(series: SeriesKey, folder: SeriesFolder, document: SeriesDocument) -> None:
    """Check that the rows of the series and of its revisions are those of its files."""
    row = Series.find(series)
    assert row is not None
    assert (row.sequence, row.n_rows, row.generation, row.fetched_at, row.last_time) == (
        document.sequence, document.n_rows, document.generation.number, document.fetched_at,
        document.last_time,
    )  # fmt: skip
    names = ("number", "finding", "state", "generation", "n_bars", "first_time", "last_time")
    recorded = Revision.objects.filter(series=row).order_by("number").values_list(*names)
    expected = [tuple(getattr(each, name) for name in names) for each in read_records(folder)]
    assert list(recorded) == expected


def _check_datasets(series: SeriesKey, folder: SeriesFolder, document: SeriesDocument) -> None:
    """Check that each dataset has the bars of the archive, and that its row describes its file."""
    for dataset in Dataset.objects.filter(**series.as_dict(), state=Dataset.State.READY):
        table, stored = outputs.get_store().read(dataset.path)
        assert content_hash(table) == dataset.content_hash == stored.facts.content_hash
        assert (dataset.n_rows, dataset.version) == (table.num_rows, stored.version)
        held = read_newest(folder, dataset.n_bars).rows.select(BAR_COLUMNS)
        if document.holes:
            # A dataset has no hole: it can be shorter, or wait for a fetch of its own.
            is_held = times_of(read_range(folder).rows)
            assert set(times_of(table)[:-1].tolist()) <= set(is_held.tolist())
            final = table.slice(0, table.num_rows - 1)
            everything = set(rows_of(read_range(folder).rows.select(BAR_COLUMNS)))
            assert set(rows_of(final)) <= everything, dataset
        else:
            assert table.equals(held), dataset
