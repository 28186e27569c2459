"""A disk that is not mounted is one named error; no fetch replaces a pinned dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from datasets import catalog, fetching
from datasets.errors import StoreFailed, StoreUnavailable
from datasets.fetching import fetch_queue, tasks
from datasets.models import Dataset, Fetch
from datasets.research import FolderUnavailable, load, load_panel, verify_lock, write_lock
from datasets.research import catalog as catalog_of_files
from datasets.storage import MARKER, FolderStore
from datasets.views import sparklines
from tests.support.factories import a_key
from tests.support.stacks import Feed

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300&wait=0"
State = Dataset.State


@pytest.fixture(autouse=True)
def handed_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give no fetch to a worker; return the list of the fetches that a worker would get."""
    numbers: list[int] = []
    # An earlier test may have drawn the sparkline of this dataset.
    sparklines.drawn.clear()
    monkeypatch.setattr(tasks, "enqueue", numbers.append)
    return numbers


@pytest.fixture(params=["outputs", "datasets", "sample", "empty sample"])
def mount(request: Any, own_outputs: Path) -> Callable[[], Callable[[], None]]:
    """Return a function that unmounts a disk, and that returns a function to mount the disk again."""
    places = {"outputs": "", "datasets": "datasets"}
    place = own_outputs / places.get(request.param, "datasets/sample")

    def take_away() -> Callable[[], None]:
        aside = own_outputs.parent / "aside"
        place.rename(aside)
        if request.param in ("outputs", "empty sample"):
            # The mount point.
            place.mkdir()

        def mount_again() -> None:
            shutil.rmtree(place, ignore_errors=True)
            aside.rename(place)

        return mount_again

    return take_away


def test_an_unmounted_disk_is_one_error_and_no_dataset_is_missing_afterwards(
    make_dataset: MakeDataset, client: Client, mount: Any, handed_out: list[int], store: FolderStore
) -> None:
    datasets = [make_dataset(300), make_dataset(20, symbol="ETHUSDT")]
    mount_again = mount()

    for address in (OHLC, f"/api/tv/datasets/{datasets[1].pk}/bars", OHLC + "&use_cache=false"):
        reply = client.get(address)
        assert (reply.status_code, reply.json()["code"]) == (503, "store_unavailable"), address
        assert reply.json()["retryable"]
    assert client.get(f"/datasets/{datasets[0].pk}/closes.svg").status_code == 404
    for action in ("verify", "rebuild"):
        with pytest.raises(CommandError, match="may not be mounted"):
            call_command("datasets", action)
    with pytest.raises(StoreUnavailable):
        catalog.remove(datasets[0])
    for look in (catalog.read, catalog.verify):
        with pytest.raises(StoreUnavailable):
            look(datasets[0])
    assert set(Dataset.objects.values_list("state", flat=True)) == {State.READY}
    assert handed_out == []
    assert not (store.folder / "sample" / MARKER).exists()

    mount_again()

    assert client.get(OHLC).status_code == 200
    call_command("datasets", "verify")


def test_a_worker_makes_no_folder_in_an_empty_mount_point(
    make_dataset: MakeDataset, clean_feed: Feed, settings: Any, mount: Any, store: FolderStore
) -> None:
    settings.TV_WS_URL = clean_feed.ws_url
    make_dataset(300)
    fetch, _ = fetch_queue.open_fetch(a_key(symbol="ETHUSDT"), via="api")
    mount()

    with pytest.raises(StoreUnavailable):
        fetching.run_fetch(fetch.pk)

    assert list(store.all_paths()) == []
    assert Fetch.objects.get().state == Fetch.State.RUNNING


def test_datasets_whose_files_were_all_deleted_are_missing(
    make_dataset: MakeDataset, store: FolderStore, client: Client
) -> None:
    dataset = make_dataset(300)
    (store.folder / dataset.path).unlink()

    assert client.get(OHLC).status_code == 202
    assert Dataset.objects.get().state == State.MISSING


def test_a_folder_that_was_deleted_on_purpose_can_be_accepted(
    make_dataset: MakeDataset, store: FolderStore, client: Client
) -> None:
    make_dataset(300)
    shutil.rmtree(store.folder)

    call_command("datasets", "rebuild", "--accept-empty")

    assert Dataset.objects.get().state == State.MISSING
    assert client.get(OHLC).status_code == 202


def test_the_loader_has_one_sentence_for_an_unmounted_disk(
    make_dataset: MakeDataset, mount: Any, own_outputs: Path, tmp_path: Path
) -> None:
    make_dataset(300)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", source="sample", folder=own_outputs))
    mount()

    looks: list[Callable[[], object]] = [
        lambda: load("BINANCE:BTCUSDT", source="sample", folder=own_outputs),
        lambda: load_panel([f"A:B{n}" for n in range(1000)], source="sample", folder=own_outputs),
        lambda: catalog_of_files(folder=own_outputs),
        lambda: verify_lock(lock, folder=own_outputs),
    ]
    for look in looks:
        with pytest.raises(FolderUnavailable, match="its disk is not mounted") as caught:
            look()
        assert (caught.value.code, caught.value.retryable) == ("store_unavailable", True)


@pytest.mark.parametrize("look", ["verify", "sparkline", "read", "rebuild"])
def test_a_pinned_dataset_with_an_absent_file_is_never_replaced_by_a_fetch(
    make_dataset: MakeDataset,
    store: FolderStore,
    client: Client,
    handed_out: list[int],
    tmp_path: Path,
    look: str,
) -> None:
    dataset = make_dataset(300)
    Dataset.objects.update(is_pinned=True)
    path = store.folder / dataset.path
    path.rename(tmp_path / "aside")
    looks: dict[str, Callable[[], object]] = {
        "verify": lambda: catalog.verify(dataset),
        "sparkline": lambda: client.get(f"/datasets/{dataset.pk}/closes.svg"),
        "read": lambda: client.get(f"/api/tv/datasets/{dataset.pk}/bars"),
        "rebuild": lambda: [*catalog.adopt_files(), *catalog.find_missing()],
    }
    looks[look]()
    assert Dataset.objects.get().state == State.MISSING

    reply = client.get(OHLC)

    assert (reply.status_code, reply.json()["code"]) == (500, "file_missing")
    assert not reply.json()["retryable"]
    assert "unpin" in reply.json()["detail"]
    assert handed_out == []
    (tmp_path / "aside").rename(path)
    assert client.get(OHLC).json()["dataset"] == dataset.pk
    assert Dataset.objects.get().state == State.READY


def test_a_missing_pinned_dataset_can_be_unpinned_and_fetched(
    make_dataset: MakeDataset, store: FolderStore, client: Client, handed_out: list[int]
) -> None:
    dataset = make_dataset(300)
    (store.folder / dataset.path).unlink()
    Dataset.objects.update(is_pinned=True)
    assert client.get(OHLC).status_code == 500

    Dataset.objects.update(is_pinned=False)

    assert client.get(OHLC).status_code == 202


def test_a_running_fetch_does_not_replace_a_dataset_pinned_meanwhile_with_an_absent_file(
    make_dataset: MakeDataset, clean_feed: Feed, settings: Any, store: FolderStore
) -> None:
    settings.TV_WS_URL = clean_feed.ws_url
    dataset = make_dataset(300)
    fetch, _ = fetch_queue.open_fetch(dataset.key, via="api")
    (store.folder / dataset.path).unlink()
    Dataset.objects.update(is_pinned=True, state=State.MISSING)

    with pytest.raises(StoreFailed, match="pinned"):
        fetching.run_fetch(fetch.pk)

    assert list(store.all_paths()) == []
