"""Datasets in a bucket: the same promises as in a folder."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from datasets import catalog
from datasets.catalog import catalog_table, invalidation, outputs, records
from datasets.errors import FileMissing, StoreUnavailable
from datasets.models import Dataset
from datasets.monitoring import catalog_metrics
from datasets.serving.candidates import is_on_disk
from datasets.storage import BucketAddress
from datasets.storage.bucket_store import BucketStore
from datasets.storage.buckets import LocalCopies
from tests.support.buckets import BucketServer, FaultProxy
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.stacks import ROOT

State = Dataset.State
Make = Callable[..., Dataset]


@pytest.fixture
def store(bucket_address: str, settings: Any, tmp_path: Path) -> BucketStore:
    settings.OUTPUTS_BUCKET = BucketAddress.parse(bucket_address)
    settings.STATE_DIR = tmp_path / "state"
    settings.STATE_DIR.mkdir()
    settings.STORE_CHECK_S = 0
    found = outputs.get_store()
    assert isinstance(found, BucketStore)
    return found


@pytest.fixture
def make(db: None, store: BucketStore) -> Make:
    def make_one(n_rows: int = 300, **changes: Any) -> Dataset:
        key = a_key(**({"n_bars": n_rows} | changes))
        return records.record(store.write(key, fetched_bars(bars_table(n_rows))))

    return make_one


@pytest.fixture
def elsewhere(store: BucketStore, tmp_path: Path) -> BucketStore:
    """The store as another host has it: the same bucket, other local copies."""
    return BucketStore(store.outputs.address, LocalCopies(tmp_path / "elsewhere", 2**30), 60)


def names(store: BucketStore, folder: str = "") -> list[str]:
    return [found.name for found in store.outputs.list(folder)]


def test_a_dataset_has_the_name_that_it_has_in_a_folder(make: Make, store: BucketStore) -> None:
    dataset = make()

    assert f"datasets/{dataset.path}" in names(store)
    assert dataset.version == store.version(dataset.path)
    assert catalog.read(dataset).equals(bars_table(300))
    assert catalog.verify(dataset).outcome == "ok"


def test_an_object_that_was_deleted_by_hand_is_noticed(make: Make, store: BucketStore) -> None:
    dataset = make()
    assert is_on_disk(dataset)

    store.bucket.delete(dataset.path)

    assert not is_on_disk(dataset)
    assert Dataset.objects.get().state == State.MISSING


def test_a_seen_version_is_trusted_for_a_while(
    make: Make, store: BucketStore, elsewhere: BucketStore
) -> None:
    dataset = make()
    assert elsewhere.is_current(dataset.path, dataset.version)

    store.bucket.delete(dataset.path)

    # For STORE_CHECK_S, but not for a function that decides.
    assert elsewhere.is_current(dataset.path, dataset.version)
    with pytest.raises(FileMissing):
        elsewhere.version(dataset.path)


def test_a_write_of_another_host_is_seen_at_once(
    make: Make, elsewhere: BucketStore, store: BucketStore, settings: Any
) -> None:
    old = make()
    assert elsewhere.read(old.path, recorded=old.version)[0].num_rows == 300

    new = records.record(store.write(old.key, fetched_bars(bars_table(299))))

    assert elsewhere.is_current(new.path, new.version)
    assert elsewhere.read(new.path, recorded=new.version)[0].num_rows == 299


def test_a_catalog_is_rebuilt_from_the_bucket(make: Make, store: BucketStore) -> None:
    dataset = make()
    store.bucket.put("sample/BINANCE_BROKEN_1h_5.parquet", b"nothing")
    Dataset.objects.all().delete()

    outcomes = {found.path: found.outcome for found in catalog.adopt_files()}

    assert outcomes == {dataset.path: "adopted", "sample/BINANCE_BROKEN_1h_5.parquet": "corrupt"}
    adopted = Dataset.objects.get()
    assert (adopted.path, adopted.version) == (dataset.path, dataset.version)
    [kept] = names(store, "quarantine")
    assert store.outputs.get(kept).content.to_pybytes() == b"nothing"
    assert "sample/BINANCE_BROKEN_1h_5.parquet" not in [found.name for found in store.bucket.list()]


def test_missing_objects_are_found_by_one_list(make: Make, store: BucketStore) -> None:
    make(300)
    gone = make(301)
    store.bucket.delete(gone.path)

    assert [found.path for found in catalog.find_missing()] == [gone.path]
    assert Dataset.objects.get(path=gone.path).state == State.MISSING


def test_an_empty_bucket_marks_nothing_as_missing(make: Make, store: BucketStore) -> None:
    dataset = make()
    for found in list(store.outputs.list()):
        store.outputs.delete(found.name)

    with pytest.raises(StoreUnavailable, match="OUTPUTS_URL may name another place"):
        catalog.read(dataset)
    with pytest.raises(StoreUnavailable):
        list(catalog.find_missing())
    assert Dataset.objects.get().state == State.READY


def test_removed_files_stay_in_their_folders_until_tidy(make: Make, store: BucketStore) -> None:
    first, second = make(300), make(301)
    invalidation.invalidate(store, first)
    catalog.delete(second)

    assert len(names(store, "invalidated")) == len(names(store, "trash")) == 1
    assert [name for name in names(store, "datasets") if name.endswith(".parquet")] == []
    assert Dataset.objects.get().state == State.INVALIDATED

    later = timezone.now() + timedelta(hours=1)
    assert store.purge_removed(later, dry_run=True)[0] == 2
    assert store.purge_removed(later)[0] == 2
    assert names(store, "invalidated") == names(store, "trash") == []


def test_a_pinned_dataset_that_is_contradicted_gets_a_mark(make: Make, store: BucketStore) -> None:
    dataset = make()
    Dataset.objects.update(is_pinned=True)

    invalidation.supersede(store, dataset)

    assert Dataset.objects.get().state == State.SUPERSEDED
    [mark] = [name for name in names(store) if name.endswith(".superseded")]
    said = json.loads(store.outputs.get(mark).content.to_pybytes())
    assert said == {"name": Path(dataset.path).name, "version": dataset.version}


def test_files_are_exported_and_sent(
    make: Make, tmp_path: Path, client: Client, store: BucketStore
) -> None:
    dataset = make()
    content = store.bucket.get(dataset.path).content.to_pybytes()

    call_command("datasets", "export", "--to", str(tmp_path / "export"))

    assert (tmp_path / "export" / Path(dataset.path).name).read_bytes() == content
    reply = client.get(f"/api/tv/datasets/{dataset.pk}/file")
    assert b"".join(reply.streaming_content) == content  # type: ignore[attr-defined]
    assert Path(dataset.path).name in reply["Content-Disposition"]
    reply.close()


def test_the_table_of_the_catalog_is_in_the_bucket(make: Make, store: BucketStore) -> None:
    make()

    assert catalog_table.write_if_changed()
    assert not catalog_table.write_if_changed()
    table = pq.read_table(io.BytesIO(store.outputs.get("catalog.parquet").content.to_pybytes()))
    assert table["kind"].to_pylist() == ["dataset"]


def test_the_free_space_of_a_bucket_is_null(make: Make, client: Client) -> None:
    make()

    assert client.get("/api/tv/status").json()["free_bytes"] is None
    assert list(catalog_metrics.disk_metrics()) == []


@pytest.fixture
def proxy(
    store: BucketStore, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    running = FaultProxy(urlsplit(bucket_server.endpoint).port or 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.port}")
    yield running
    running.stop()


def test_cached_reads_go_on_while_the_bucket_is_away(
    make: Make, proxy: FaultProxy, client: Client, store: BucketStore, tmp_path: Path
) -> None:
    held, cold = make(300), make(301, exchange="KRAKEN")
    address = "/api/tv/ohlc?symbol={0.symbol}&exchange={0.exchange}&n_bars={0.n_bars}"
    for copy in (tmp_path / "state" / "objects").iterdir():
        copy.unlink()
    assert catalog.read(held).num_rows == 300

    proxy.arm("cut")

    reply = client.get(address.format(held)).json()
    assert reply.get("count") == 300, reply
    with pytest.raises(StoreUnavailable, match="is away"):
        catalog.read(cold)
    assert Dataset.objects.filter(state=State.READY).count() == 2
    reply = client.get(f"/api/tv/datasets/{cold.pk}/file")
    assert (reply.status_code, reply.json()["code"]) == (503, "store_unavailable")
    assert reply.json()["retryable"] is True


@pytest.mark.usefixtures("conditional_writes")
def test_of_racing_writers_one_file_is_left_and_the_others_are_told(
    make: Make, store: BucketStore
) -> None:
    old = make()

    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.bucket_writer", str(store.outputs.address), str(number), "8"],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for number in range(8)
    ]  # fmt: skip
    written = [version for each in writers if (version := each.communicate(timeout=60)[0].strip())]

    # Each had prepared its file while the old one was there.
    assert written == [store.version(old.path)] != [old.version]


def test_the_first_read_of_a_host_is_one_request(
    make: Make, elsewhere: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make()
    requests: list[str] = []
    for name in ("head", "get"):
        monkeypatch.setattr(obstore, name, _counted(getattr(obstore, name), requests))

    # The service first finds the dataset, then reads it.
    assert elsewhere.is_current(dataset.path, dataset.version)
    assert elsewhere.read(dataset.path, recorded=dataset.version)[0].num_rows == 300

    assert requests == ["get"]


def _counted(call: Callable[..., Any], requests: list[str]) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        requests.append(call.__name__)
        return call(*arguments, **options)

    return counted
