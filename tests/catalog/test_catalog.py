"""The catalog follows the files: every damage is found, named and repaired."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from datasets import catalog
from datasets.catalog import outputs, records
from datasets.errors import FileCorrupt, FileMissing
from datasets.models import Dataset
from datasets.storage import FolderStore
from tests.support.factories import bars_table, fetched_bars

State = Dataset.State
MakeDataset = Callable[..., Dataset]


def test_a_whole_file_is_ok_and_read(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(300)

    assert catalog.verify(dataset).outcome == "ok"
    assert catalog.read(dataset).equals(bars_table(300))


def test_a_file_deleted_by_hand_makes_its_row_missing(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    (store.folder / dataset.path).unlink()

    with pytest.raises(FileMissing):
        catalog.read(dataset)

    assert Dataset.objects.get().state == State.MISSING


def test_a_flipped_bit_is_quarantined_and_makes_its_row_corrupt(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    path = store.folder / dataset.path
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)

    with pytest.raises(FileCorrupt):
        catalog.read(dataset)

    assert Dataset.objects.get().state == State.CORRUPT
    assert not path.exists()
    (kept,) = (store.folder.parent / "quarantine" / "sample").iterdir()
    assert kept.read_bytes() == content


def test_a_newer_file_than_the_row_is_adopted(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    """A worker was killed after the rename and before the row."""
    dataset = make_dataset(300)
    store.write(dataset.key, fetched_bars(bars_table(200)))

    assert catalog.read(dataset).num_rows == 200
    assert Dataset.objects.get().n_rows == 200


def test_a_lost_catalog_is_rebuilt_from_the_files_alone(make_dataset: MakeDataset) -> None:
    before = [
        make_dataset(300, reply={"is_limited": True, "n_duplicates": 3}),
        make_dataset(20, symbol="M&M", exchange="NSE", timeframe="1D", session="extended"),
    ]
    Dataset.objects.all().delete()

    outcomes = [finding.outcome for finding in catalog.adopt_files()]

    assert outcomes == ["adopted", "adopted"]
    ignored = {"id", "_state"}
    after = {dataset.path: dataset for dataset in Dataset.objects.all()}
    for dataset in before:
        for name, value in vars(dataset).items():
            assert name in ignored or getattr(after[dataset.path], name) == value, name


def test_rebuilding_twice_changes_nothing(make_dataset: MakeDataset) -> None:
    make_dataset()

    assert [finding.outcome for finding in catalog.adopt_files()] == ["ok"]


def test_a_foreign_file_is_quarantined_by_a_rebuild(db: None, store: FolderStore) -> None:
    path = store.folder / "sample" / "notes.parquet"
    path.parent.mkdir(parents=True)
    path.write_text("my notes")

    (finding,) = catalog.adopt_files()

    assert finding.outcome == "corrupt"
    assert not path.exists()
    assert not Dataset.objects.exists()


def test_an_invalidated_dataset_stays_invalidated_when_its_file_is_missing(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    Dataset.objects.update(state=State.INVALIDATED)
    (store.folder / dataset.path).unlink()

    assert list(catalog.find_missing()) == []
    assert Dataset.objects.get().state == State.INVALIDATED


def test_a_stray_temporary_file_is_removed_and_one_being_written_is_not(store: FolderStore) -> None:
    import fcntl

    folder = store.folder / "sample"
    folder.mkdir(parents=True)
    (folder / ".dead.tmp").write_text("x")
    with (folder / ".alive.tmp").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        assert store.remove_strays() == 1

        assert [path.name for path in folder.iterdir()] == [".alive.tmp"]


def _aged(
    dataset: Dataset, *, days: int, served_days: int | None = None, **changes: object
) -> Dataset:
    now = datetime.now(UTC)
    values = {"fetched_at": now - timedelta(days=days), **changes}
    if served_days is not None:
        values["last_served_at"] = now - timedelta(days=served_days)
    Dataset.objects.filter(pk=dataset.pk).update(**values)
    return dataset


@pytest.fixture
def aged(make_dataset: MakeDataset) -> dict[str, Dataset]:
    return {
        "old": _aged(make_dataset(10), days=100),
        "old but used": _aged(make_dataset(11), days=100, served_days=1),
        "old and pinned": _aged(make_dataset(12), days=100, is_pinned=True),
        "new": _aged(make_dataset(13), days=2),
    }


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ({"fetched_before": timedelta(days=50)}, {"old", "old but used"}),
        ({"unused_since": timedelta(days=50)}, {"old"}),
        ({"keep_newest": 1}, {"old", "old but used"}),
        ({"total_bytes": 0}, {"old", "old but used", "new"}),
        ({"total_bytes": 10**9}, set()),
        # The bytes of datasets chosen by one rule no longer count for the other rule.
        ({"fetched_before": timedelta(days=50), "total_bytes": 10_500}, {"old", "old but used"}),
        ({}, set()),
    ],
)
def test_pruning_follows_its_rule_and_never_deletes_a_pinned_dataset(
    aged: dict[str, Dataset], rules: dict[str, object], names: set[str]
) -> None:
    now = datetime.now(UTC)
    instants = {
        name: now - rule if isinstance(rule, timedelta) else rule for name, rule in rules.items()
    }

    chosen = list(catalog.choose_prunable(**instants))  # type: ignore[arg-type]

    assert {name for name, dataset in aged.items() if dataset in chosen} == names


def test_removal_deletes_the_file_and_the_row(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()

    catalog.remove(dataset)

    assert list(store.all_paths()) == []
    assert not Dataset.objects.exists()


def test_recording_a_file_again_keeps_the_columns_that_are_not_in_the_file(
    make_dataset: MakeDataset,
) -> None:
    dataset = make_dataset(300)
    Dataset.objects.update(hits=7, is_pinned=True)

    again = records.record(outputs.get_store().write(dataset.key, fetched_bars(bars_table(5))))

    assert (again.pk, again.hits, again.is_pinned, again.n_rows) == (dataset.pk, 7, True, 5)


@pytest.mark.parametrize("change", [{"is_pinned": True}, {"fetched_at": datetime.now(UTC)}])
def test_a_dataset_that_was_pinned_or_fetched_after_it_was_chosen_is_not_pruned(
    make_dataset: MakeDataset, store: FolderStore, change: dict[str, Any]
) -> None:
    chosen = make_dataset()
    Dataset.objects.update(**change)

    assert not catalog.remove(chosen)
    assert (store.folder / chosen.path).exists()
    assert Dataset.objects.exists()


def test_a_file_that_a_worker_has_not_recorded_yet_is_not_pruned(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    chosen = make_dataset()
    store.write(chosen.key, fetched_bars(bars_table(5), fetched_at=datetime.now(UTC)))

    assert not catalog.remove(chosen)
    assert store.read(chosen.path)[0].num_rows == 5
    assert Dataset.objects.exists()


def test_a_copied_file_and_a_file_that_is_no_dataset_are_pruned(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    copied, broken = make_dataset(300), make_dataset(400)
    os.utime(store.folder / copied.path)
    (store.folder / broken.path).write_bytes(b"nothing")

    assert catalog.remove(copied)
    assert catalog.remove(broken)
    assert list(store.all_paths()) == []


def test_a_corrupt_file_that_is_replaced_before_it_is_moved_away_stays(
    make_dataset: MakeDataset, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    (store.folder / dataset.path).write_bytes(b"nothing")
    quarantine = FolderStore.quarantine

    def after_a_fetch(self: FolderStore, path: str) -> Path | None:
        store.write(dataset.key, fetched_bars(bars_table(5)))
        return quarantine(self, path)

    monkeypatch.setattr(FolderStore, "quarantine", after_a_fetch)

    with pytest.raises(FileCorrupt):
        catalog.read(dataset)

    assert dataset.state == Dataset.objects.get().state == State.READY
    assert catalog.read(dataset).num_rows == 5


def test_a_dataset_that_is_pruned_while_it_is_read_is_missing(make_dataset: MakeDataset) -> None:
    dataset = make_dataset()
    assert catalog.remove(Dataset.objects.get())

    with pytest.raises(FileMissing):
        catalog.read(dataset)

    assert dataset.state == State.MISSING


def test_an_earlier_read_does_not_undo_a_later_fetch(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    early = make_dataset()
    Dataset.objects.update(version="another")
    (store.folder / early.path).unlink()

    with pytest.raises(FileMissing):
        catalog.read(early)

    assert Dataset.objects.get().state == State.READY


def look_too_early(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]
) -> None:
    """Call `then` right after the first read of the file."""
    read, looks = store.read, iter([then])

    def read_and_let(path: str, **named: Any) -> Any:
        found = read(path, **named)
        next(looks, lambda: None)()
        return found

    monkeypatch.setattr(store, "read", read_and_let)


@pytest.mark.parametrize("is_recorded", [True, False], ids=["recorded", "by a killed worker"])
def test_a_slow_reader_does_not_update_a_row_from_a_deleted_file(
    make_dataset: MakeDataset,
    store: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
    is_recorded: bool,
) -> None:
    dataset = make_dataset()
    at = datetime(2025, 7, 1, tzinfo=UTC)
    store.write(dataset.key, fetched_bars(bars_table(200), fetched_at=at))

    def fetch_again() -> None:
        stored = store.write(
            dataset.key, fetched_bars(bars_table(100), fetched_at=at + timedelta(days=1))
        )
        if is_recorded:
            records.record(stored)

    look_too_early(store, monkeypatch, fetch_again)

    table = catalog.read(dataset)

    row = Dataset.objects.get()
    # The bars, the row and the metadata of the reply are all from the later fetch.
    assert (table.num_rows, row.n_rows, dataset.n_rows) == (100, 100, 100)
    assert row.content_hash == dataset.content_hash
    assert catalog.verify(row).outcome == "ok"


def test_a_slow_reader_of_a_removed_dataset_finds_nothing(
    make_dataset: MakeDataset, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    at = datetime(2025, 7, 1, tzinfo=UTC)
    stored = store.write(dataset.key, fetched_bars(bars_table(200), fetched_at=at))
    look_too_early(store, monkeypatch, lambda: catalog.remove(records.record(stored)))

    with pytest.raises(FileMissing):
        catalog.read(dataset)

    assert not Dataset.objects.exists()


def test_a_file_that_is_replaced_during_its_adoption_is_adopted_in_its_new_version(
    make_dataset: MakeDataset, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    Dataset.objects.all().delete()
    look_too_early(
        store,
        monkeypatch,
        lambda: store.write(dataset.key, fetched_bars(bars_table(100))),
    )

    assert [finding.outcome for finding in catalog.adopt_files()] == ["adopted"]

    row = Dataset.objects.get()
    assert row.n_rows == 100
    assert catalog.verify(row).outcome == "ok"


def test_a_missing_file_counts_no_bytes(aged: dict[str, Dataset]) -> None:
    Dataset.objects.filter(pk=aged["new"].pk).update(state=State.MISSING, bytes=10**9)

    assert list(catalog.choose_prunable(total_bytes=10**6)) == []


def test_the_rows_of_a_folder_deleted_on_purpose_can_be_pruned(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    shutil.rmtree(store.folder)
    catalog.require_folders(accept_empty=True)

    assert catalog.remove(dataset)
    assert not Dataset.objects.exists()


def test_an_invalidated_dataset_is_ready_when_a_newer_file_is_there(
    make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    Dataset.objects.update(state=State.INVALIDATED)
    store.write(dataset.key, fetched_bars(bars_table(5), fetched_at=datetime.now(UTC)))

    list(catalog.adopt_files())

    assert Dataset.objects.get().state == State.READY


def test_one_unreadable_file_does_not_stop_the_adoption_of_the_others(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread, sound = make_dataset(10), make_dataset(20)
    open_file = os.open

    def fail(path: Any, *rest: Any, **named: Any) -> int:
        if str(path).endswith(unread.path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_file(path, *rest, **named)

    monkeypatch.setattr(os, "open", fail)
    Dataset.objects.filter(pk=sound.pk).delete()

    found = {finding.path: finding.outcome for finding in catalog.adopt_files()}

    assert found == {unread.path: "unread", sound.path: "adopted"}
    assert catalog.verify(unread).outcome == "unread"
    assert set(Dataset.objects.values_list("state", flat=True)) == {State.READY}
