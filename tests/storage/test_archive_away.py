"""An archive whose disk is away, read-only or full: one named error, nothing changed, and no second archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from datasets import fetching
from datasets.archive import decisions
from datasets.archive.conversion import convert_datasets
from datasets.archive.following.recovery import recover_archives
from datasets.bars import IMPORTED
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import catalog_table
from datasets.errors import FileMissing, FolderUnavailable, StoreFailed, StoreUnavailable
from datasets.fetching import fetch_queue, tasks, workers
from datasets.importing.imports import import_bars
from datasets.models import Dataset, Fetch, Revision, Series
from datasets.research import load
from datasets.storage import MARKER
from datasets.storage.archives.series_copies import copy_archives
from datasets.storage.archives.series_folder import SeriesFolder
from tests.support import disks
from tests.support.archives import FIRST_HOUR, changed, plain_bars
from tests.support.arrivals import Arrivals
from tests.support.factories import a_key, fetched_bars
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db

MakeDataset = Callable[..., Dataset]
LOOK = "/api/tv/ohlc?symbol=AAPL&exchange=NASDAQ&n_bars=60&wait=0"
BEFORE = datetime.fromtimestamp(FIRST_HOUR + 3600, UTC)


@pytest.fixture(autouse=True)
def handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give no fetch to a worker."""
    monkeypatch.setattr(tasks, "enqueue", lambda number: None)


@pytest.fixture
def arrivals() -> Arrivals:
    """A series of 100 bars with an open revision, whose dataset has the newest 60."""
    made = Arrivals()
    made.arrive(plain_bars(range(100)), n_bars=60)
    made.arrive(changed(plain_bars(range(100)), 50, close=77.7, low=70.0), n_bars=60)
    return made


@pytest.fixture(params=["archive", "empty archive", "archive/sample", "empty archive/sample"])
def unmount(request: Any, own_outputs: Path) -> Callable[[], Callable[[], None]]:
    """Return a function that unmounts the disk with the archives; it returns one that mounts the disk again."""

    def take_away() -> Callable[[], None]:
        place = own_outputs / request.param.removeprefix("empty ")
        aside = own_outputs.parent / "aside"
        place.rename(aside)
        if request.param.startswith("empty "):
            place.mkdir()

        def mount_again() -> None:
            if place.exists():
                # Only an empty mount point can be removed: nothing was written to it.
                place.rmdir()
            aside.rename(place)

        return mount_again

    return take_away


@pytest.mark.django_db(transaction=True)
def test_readyz_names_the_archives_disk_that_is_away(
    arrivals: Arrivals, unmount: Any, client: Client
) -> None:
    workers.note_alive("celery@here")
    assert client.get("/readyz").json()["missing"] == []

    mount_again = unmount()
    reply = client.get("/readyz")
    mount_again()

    assert (reply.status_code, reply.json()["missing"]) == (503, ["outputs"])
    assert "may not be mounted" in reply.json()["problems"][0]
    assert client.get("/readyz").status_code == 200


def test_each_face_says_that_the_archives_disk_is_away_and_changes_nothing(
    arrivals: Arrivals, unmount: Any, client: Client, tmp_path: Path
) -> None:
    series, revision = arrivals.series, arrivals.revision("unexplained")
    bars = arrivals.bars()
    client.force_login(User.objects.create_superuser("ann"))
    mount_again = unmount()

    for address in (
        f"/api/tv/series/{series.pk}/bars",
        f"/api/tv/series/{series.pk}/gaps",
        f"{LOOK}&use_cache=false",
        f"/api/tv/ohlc?symbol=AAPL&exchange=NASDAQ&start={BEFORE:%Y-%m-%dT%H:%M:%SZ}",
    ):
        reply = client.get(address)
        assert (reply.status_code, reply.json()["code"]) == (503, "store_unavailable"), address
    assert client.get(LOOK).status_code == 200
    assert "may not be mounted" in client.get(f"/series/{series.pk}/").content.decode()
    assert client.get(f"/series/{series.pk}/2024.parquet").status_code == 404
    for command in (
        ["datasets", "rebuild"],
        ["backup", str(tmp_path / "backup")],
        ["datasets", "export", "--layout", "table", "--to", str(tmp_path / "table")],
    ):
        with pytest.raises(CommandError, match="may not be mounted"):
            call_command(*command)
    with pytest.raises(StoreUnavailable):
        decisions.accept_new(revision, by="ann")
    assert list(recover_archives()) == []
    # Otherwise a file was written there.
    mount_again()

    assert arrivals.bars().equals(bars)
    assert Revision.objects.get().state == Revision.State.OPEN
    assert Series.objects.get().sequence == series.sequence
    assert not (tmp_path / "backup" / "backup.json").exists()
    assert client.get(f"/api/tv/series/{series.pk}/bars").status_code == 200


def test_a_fetch_begins_no_second_archive(
    arrivals: Arrivals, unmount: Any, clean_feed: Feed, settings: Any
) -> None:
    settings.TV_WS_URL = clean_feed.ws_url
    fetch, _ = fetch_queue.open_fetch(a_key(symbol="AAPL", exchange="NASDAQ"), via="api")
    mount_again = unmount()

    with pytest.raises(StoreUnavailable):
        fetching.run_fetch(fetch.pk)

    mount_again()
    assert Fetch.objects.get(pk=fetch.pk).state == Fetch.State.RUNNING
    assert arrivals.series.n_rows == 100


def test_datasets_are_not_archived_beside_an_absent_archive(
    arrivals: Arrivals, unmount: Any, make_dataset: MakeDataset
) -> None:
    make_dataset(300, symbol="ETHUSDT")
    mount_again = unmount()

    with pytest.raises(StoreUnavailable):
        list(convert_datasets())

    mount_again()
    assert [finding.outcome for finding in convert_datasets()] == ["ok"]


def test_an_import_begins_no_second_archive(own_outputs: Path) -> None:
    key = SeriesKey.of(a_key(source=IMPORTED, symbol="AAPL", exchange="NASDAQ"))
    import_bars(key, fetched_bars(plain_bars(range(60))))
    (own_outputs / "archive").rename(own_outputs / "aside")

    with pytest.raises(StoreUnavailable):
        import_bars(key, fetched_bars(plain_bars(range(100))))

    assert not (own_outputs / "archive").exists()
    assert Series.objects.get().n_rows == 60


def test_no_table_of_the_catalog_is_written_while_the_disk_is_away(
    arrivals: Arrivals, own_outputs: Path
) -> None:
    own_outputs.rename(own_outputs.with_name("aside"))
    own_outputs.mkdir()

    with pytest.raises(StoreUnavailable):
        catalog_table.write_if_changed()

    assert list(own_outputs.iterdir()) == []


@pytest.mark.parametrize("place", ["archive", "archive/sample"])
def test_the_loader_says_that_the_archives_disk_is_away(
    arrivals: Arrivals, own_outputs: Path, place: str
) -> None:
    query: Any = {"symbol": "NASDAQ:AAPL", "source": "sample", "folder": own_outputs}
    assert len(load(**query, start=BEFORE)) == 99
    shutil.rmtree(own_outputs / place)
    (own_outputs / place).mkdir()

    parts: list[Any] = [{"start": BEFORE}, {"as_of": arrivals.now}]
    for part in parts:
        with pytest.raises(FolderUnavailable, match="its disk is not mounted"):
            load(**query, **part)
    assert len(load(**query)) == 60


def test_archives_that_were_deleted_on_purpose_can_be_accepted(
    arrivals: Arrivals, own_outputs: Path, client: Client, capsys: Any
) -> None:
    shutil.rmtree(own_outputs / "archive")

    call_command("datasets", "rebuild", "--accept-empty")

    assert "missing" in capsys.readouterr().out
    assert (own_outputs / "archive" / "sample" / MARKER).exists()
    with pytest.raises(FileMissing):
        arrivals.bars()
    arrivals.arrive(plain_bars(range(100)), n_bars=60)
    assert arrivals.bars().num_rows == 100


# --- read-only and full --------------------------------------------------------------------


@pytest.fixture
def disk(own_outputs: Path) -> Iterator[Path]:
    """A disk of 512 KB with the archives, and nothing else."""
    folder = own_outputs / "archive"
    folder.mkdir()
    with disks.small_disk(folder, "512k"):
        yield folder


SHORTAGES = {
    "read-only": (disks.read_only, "Read-only file system"),
    "full": (disks.full, "No space left on device"),
}


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_an_archive_that_cannot_be_written_is_store_failed_and_stays_as_it_is(
    disk: Path, arrivals: Arrivals, make_dataset: MakeDataset, shortage: str
) -> None:
    revision, document = arrivals.revision("unexplained"), arrivals.folder.document()
    bars, dataset = arrivals.bars(), Dataset.objects.get()
    make_dataset(300, symbol="ETHUSDT")
    key = SeriesKey.of(a_key(source=IMPORTED, symbol="AAPL", exchange="NASDAQ"))
    strike, reason = SHORTAGES[shortage]

    with strike(disk):
        for change in (
            lambda: arrivals.arrive(plain_bars(range(120)), n_bars=60),
            lambda: decisions.accept_new(revision, by="ann"),
            lambda: import_bars(key, fetched_bars(plain_bars(range(60)))),
        ):
            with pytest.raises(StoreFailed, match=reason):
                change()
        (finding,) = convert_datasets()
        assert finding.outcome == "unread"
        assert reason in finding.detail
        assert arrivals.bars().equals(bars)
        call_command("datasets", "rebuild")

    assert arrivals.folder.document() == document
    assert Dataset.objects.get(pk=dataset.pk).content_hash == dataset.content_hash
    assert Revision.objects.get().state == Revision.State.OPEN
    assert list(recover_archives()) == []
    arrivals.arrive(plain_bars(range(120)), n_bars=60)
    assert arrivals.bars().num_rows == 120
    import_bars(key, fetched_bars(plain_bars(range(60))))


def test_an_archive_on_a_read_only_disk_can_be_backed_up(
    disk: Path, arrivals: Arrivals, tmp_path: Path
) -> None:
    with disks.read_only(disk):
        copied = copy_archives(disk, tmp_path, is_in_use=True)

    assert copied == (4, [])
    assert SeriesFolder(tmp_path / "sample/NASDAQ_AAPL_1h").document() == arrivals.folder.document()
