"""Invalidation is visible to every reader of files, and a refresh is no finding of `verify`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from datasets import catalog, serving
from datasets.catalog import records
from datasets.errors import FileMissing, StoreFailed
from datasets.fetching import tasks
from datasets.models import Dataset
from datasets.research import DatasetNotFound, load, load_panel, write_lock
from datasets.research import catalog as catalog_of_files
from datasets.storage import FolderStore
from tests.support.factories import bars_table, fetched_bars

MakeDataset = Callable[..., Dataset]
State = Dataset.State
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300&wait=0"
SAMPLE: Any = {"source": "sample"}


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    user = User.objects.create_superuser("operator", password="long and odd")
    client.force_login(user)
    return client


def by_api(client: Client, dataset: Dataset) -> None:
    assert client.delete(f"/api/tv/datasets/{dataset.pk}").status_code == 204


def by_page(client: Client, dataset: Dataset) -> None:
    client.post("/datasets/", {"action": "invalidate", "dataset": dataset.pk})


def by_admin(client: Client, dataset: Dataset) -> None:
    form = {"action": "invalidate", "_selected_action": dataset.pk}
    client.post("/admin/datasets/dataset/", form)


def by_command(client: Client, dataset: Dataset) -> None:
    call_command("datasets", "invalidate", str(dataset.pk))


@pytest.mark.parametrize("invalidate", [by_api, by_page, by_admin, by_command])
def test_no_reader_of_files_finds_an_invalidated_dataset(
    operator: Client,
    make_dataset: MakeDataset,
    own_outputs: Path,
    tmp_path: Path,
    invalidate: Callable[[Client, Dataset], None],
) -> None:
    dataset = make_dataset(300)
    make_dataset(20, symbol="ETHUSDT")
    here = SAMPLE | {"folder": own_outputs}
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", **here))
    load_panel(["BINANCE:BTCUSDT", "BINANCE:ETHUSDT"], **here)

    invalidate(operator, dataset)

    assert Dataset.objects.get(pk=dataset.pk).state == State.INVALIDATED
    assert catalog_of_files(folder=own_outputs)["full_symbol"].tolist() == ["BINANCE:ETHUSDT"]
    for read in (
        lambda: load("BINANCE:BTCUSDT", **here),
        lambda: load("BINANCE:BTCUSDT", lock=lock, **here),
        lambda: load_panel(["BINANCE:BTCUSDT", "BINANCE:ETHUSDT"], **here),
    ):
        with pytest.raises(DatasetNotFound, match="BINANCE:BTCUSDT"):
            read()
    (kept,) = (own_outputs / "invalidated" / "sample").iterdir()
    assert kept.name.startswith("BINANCE_BTCUSDT_1h_300.parquet.")
    reply = operator.get(f"/api/tv/datasets/{dataset.pk}/bars")
    assert (reply.status_code, reply.json()["code"]) == (500, "file_missing")
    assert "was invalidated" in reply.json()["detail"]


@pytest.mark.parametrize("is_row_lost", [False, True])
def test_a_rebuild_does_not_restore_an_invalidated_dataset(
    make_dataset: MakeDataset, is_row_lost: bool
) -> None:
    serving.invalidate(make_dataset(300))
    if is_row_lost:
        Dataset.objects.all().delete()

    call_command("datasets", "rebuild")

    assert set(Dataset.objects.values_list("state", flat=True)) <= {State.INVALIDATED}


def test_the_next_fetch_writes_a_new_file(make_dataset: MakeDataset, store: FolderStore) -> None:
    dataset = make_dataset(300)
    serving.invalidate(dataset)

    records.record(store.write(dataset.key, fetched_bars(bars_table(5))))

    assert Dataset.objects.get().state == State.READY
    assert catalog.read(Dataset.objects.get()).num_rows == 5


def test_after_a_kill_between_file_and_row_the_dataset_is_fetched_again(
    make_dataset: MakeDataset, store: FolderStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda fetch_id: None)
    dataset = make_dataset(300)
    delete = store.delete

    def delete_and_die(*arguments: Any, **named: Any) -> bool:
        delete(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(
        FolderStore, "delete", lambda self, *rest, **named: delete_and_die(*rest, **named)
    )
    with pytest.raises(KeyboardInterrupt):
        serving.invalidate(dataset)
    assert Dataset.objects.get().state == State.READY

    assert client.get(OHLC).status_code == 202
    assert Dataset.objects.get().state == State.MISSING


def test_a_file_that_cannot_be_moved_leaves_the_dataset_unchanged(
    make_dataset: MakeDataset, own_outputs: Path, client: Client
) -> None:
    dataset = make_dataset(300)
    (own_outputs / "invalidated").write_text("in the way")

    with pytest.raises(StoreFailed, match="could not be moved"):
        serving.invalidate(dataset)

    assert Dataset.objects.get().state == State.READY
    assert client.get(OHLC).status_code == 200


def test_invalidation_spares_a_later_fetch_that_is_not_recorded_yet(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(300)
    store.write(dataset.key, fetched_bars(bars_table(5), fetched_at=datetime.now(UTC)))

    serving.invalidate(dataset)

    assert catalog.read(dataset).num_rows == 5
    assert Dataset.objects.get().state == State.READY


@pytest.mark.parametrize("look", [catalog.read, lambda dataset: list(catalog.adopt_files())])
def test_a_file_at_the_path_of_an_invalidated_dataset_is_moved_aside(
    make_dataset: MakeDataset, store: FolderStore, look: Callable[[Dataset], object]
) -> None:
    """Version 0.3.0 left such files; a person can copy one back too."""
    dataset = make_dataset()
    Dataset.objects.update(state=State.INVALIDATED)
    dataset.refresh_from_db()
    os.utime(store.folder / dataset.path, ns=(1, 1))

    if look is catalog.read:
        with pytest.raises(FileMissing, match="was invalidated"):
            look(dataset)
    else:
        look(dataset)

    assert Dataset.objects.get().state == State.INVALIDATED
    assert list(store.all_paths()) == []


def test_an_upgrade_moves_the_files_of_invalidated_datasets_aside(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    invalidated, other = make_dataset(10), make_dataset(20)
    Dataset.objects.filter(pk=invalidated.pk).update(state=State.INVALIDATED)
    name = "datasets.migrations.0006_set_invalidated_files_aside"

    importlib.import_module(name).set_aside(apps, None)

    assert list(store.all_paths()) == [other.path]
    assert (store.folder.parent / "invalidated" / invalidated.path).is_file()


def test_tidy_deletes_files_invalidated_long_ago(
    make_dataset: MakeDataset, store: FolderStore, own_outputs: Path
) -> None:
    serving.invalidate(make_dataset(300))

    assert store.purge_removed(datetime(2100, 1, 1, tzinfo=UTC))[0] == 1

    assert list((own_outputs / "invalidated" / "sample").iterdir()) == []


# --- verify, while the service works ------------------------------------------------------


def refresh(dataset: Dataset, store: FolderStore) -> None:
    again = fetched_bars(bars_table(5), fetched_at=datetime.now(UTC))
    records.record(store.write(dataset.key, again))


def withdraw(dataset: Dataset, store: FolderStore) -> None:
    serving.invalidate(dataset)


def remove(dataset: Dataset, store: FolderStore) -> None:
    assert catalog.remove(dataset)


@pytest.mark.parametrize(
    ("change", "outcome"), [(refresh, "ok"), (withdraw, "gone"), (remove, "gone")]
)
def test_verify_reports_no_fault_after_an_ordinary_change_meanwhile(
    make_dataset: MakeDataset,
    store: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Dataset, FolderStore], None],
    outcome: str,
) -> None:
    make_dataset(300)
    verify_each = catalog.verify_each
    found: list[catalog.Finding] = []

    def verify_late(rows: Iterable[Dataset], n_workers: int) -> Iterator[catalog.Finding]:
        for row in rows:
            change(row, store)
            found.extend(verify_each([row], n_workers))
            yield found[-1]

    monkeypatch.setattr(catalog, "verify_each", verify_late)

    call_command("datasets", "verify")  # else SystemExit

    assert [finding.outcome for finding in found] == [outcome]


def test_verify_reports_a_file_that_was_put_there_by_hand(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(300)
    store.write(dataset.key, fetched_bars(bars_table(5)))

    with pytest.raises(SystemExit):
        call_command("datasets", "verify")
