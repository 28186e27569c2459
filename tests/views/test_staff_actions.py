"""Actions of staff on datasets and fetches: questions before them, the log, and complete reports."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client

from datasets.models import Dataset, Fetch
from datasets.storage import FolderStore
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]
ADMIN = "/admin/datasets/dataset/"


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def in_admin(client: Client, action: str, *datasets: Dataset, **more: str) -> Any:
    form = {"action": action, "_selected_action": [d.pk for d in datasets], **more}
    return client.post(ADMIN, form, follow=True)


def trashed(store: FolderStore) -> list[str]:
    folder = store.folder.parent / "trash"
    return sorted(path.name.split(".parquet")[0] for path in folder.rglob("*") if path.is_file())


def delete_by_command(client: Client, dataset: Dataset) -> None:
    call_command("datasets", "delete", str(dataset.pk), stdout=StringIO())


def delete_by_api(client: Client, dataset: Dataset) -> None:
    assert client.delete(f"/api/tv/datasets/{dataset.pk}/file").status_code == 204


def delete_in_the_admin(client: Client, dataset: Dataset) -> None:
    in_admin(client, "delete", dataset, confirmed="1")


def delete_on_its_page(client: Client, dataset: Dataset) -> None:
    page = client.post(
        f"/datasets/{dataset.pk}/", {"action": "delete", "confirmed": "1"}, follow=True
    )
    assert page.redirect_chain == [("/datasets/", 302)]


WAYS = [delete_by_command, delete_by_api, delete_in_the_admin, delete_on_its_page]


@pytest.mark.parametrize("delete", WAYS, ids=lambda way: way.__name__)
def test_a_deleted_dataset_stays_in_the_trash_until_tidy(
    operator: Client,
    make_dataset: MakeDataset,
    store: FolderStore,
    delete: Callable[[Client, Dataset], None],
) -> None:
    dataset, other = make_dataset(10), make_dataset(20)

    delete(operator, dataset)

    assert list(Dataset.objects.all()) == [other]
    assert not (store.folder / dataset.path).exists()
    assert trashed(store) == ["BINANCE_BTCUSDT_1h_10"]
    call_command("tidy", "--older-than", "0d", stdout=StringIO())
    assert trashed(store) == []


def test_a_file_from_the_trash_can_be_restored(
    operator: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(10)
    delete_by_api(operator, dataset)
    [deleted] = list((store.folder.parent / "trash").rglob("*.parquet.*"))

    deleted.rename(store.folder / dataset.path)
    call_command("datasets", "rebuild", stdout=StringIO())

    assert Dataset.objects.get().content_hash == dataset.content_hash


def test_a_pinned_dataset_is_not_deleted(
    operator: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    pinned = make_dataset(10)
    Dataset.objects.update(is_pinned=True)

    reply = operator.delete(f"/api/tv/datasets/{pinned.pk}/file")
    page = in_admin(operator, "delete", pinned, confirmed="1").content.decode()

    assert reply.status_code == 400
    assert "unpin it in the admin first" in reply.json()["errors"]["id"][0]
    assert "unpin it in the admin first" in page
    assert (store.folder / pinned.path).exists()


def test_the_admin_and_the_pages_ask_before_they_delete(
    operator: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)

    asked = in_admin(operator, "delete", dataset).content.decode()
    asked_on_page = operator.post(f"/datasets/{dataset.pk}/", {"action": "delete"}).content.decode()

    assert "Delete the chosen datasets?" in asked
    assert "Delete the chosen datasets?" in asked_on_page
    assert Dataset.objects.exists()


def test_several_datasets_are_invalidated_only_after_a_question(
    operator: Client, make_dataset: MakeDataset
) -> None:
    datasets = [make_dataset(10), make_dataset(20)]
    form = {"action": "invalidate", "dataset": [dataset.pk for dataset in datasets]}

    in_admin(operator, "invalidate", *datasets)
    operator.post("/datasets/", form)
    before = set(Dataset.objects.values_list("state", flat=True))
    operator.post("/datasets/", form | {"confirmed": "1"})

    assert before == {"ready"}
    assert not Dataset.objects.filter(state="ready").exists()


def test_staff_without_the_permission_do_not_see_the_delete_action(
    client: Client, db: None, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_dataset", "fetch_dataset"])
    )
    client.force_login(user)

    page = client.get(f"/datasets/{dataset.pk}/").content.decode()
    reply = client.post(f"/datasets/{dataset.pk}/", {"action": "delete", "confirmed": "1"})

    assert 'value="fetch"' in page
    assert 'value="delete"' not in page
    assert reply.status_code == 403
    assert Dataset.objects.exists()


def test_the_log_records_the_result_of_each_action(
    operator: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    good, bad = make_dataset(10), make_dataset(20)
    (store.folder / bad.path).write_bytes(b"broken")

    in_admin(operator, "verify", good, bad)
    in_admin(operator, "fetch", good)
    in_admin(operator, "pin", good)
    in_admin(operator, "unpin", good)
    in_admin(operator, "delete", good, confirmed="1")

    said = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    verified = sorted(said[:2])
    assert verified[0].startswith("Verified: corrupt. ")
    assert verified[1] == "Verified: ok."
    assert said[2:] == [
        f"Fetch again: fetch {Fetch.objects.get().pk}.",
        "Pinned.",
        "Unpinned.",
        f"Deleted: {good.path} was moved to the trash.",
    ]


def test_a_download_names_the_datasets_it_leaves_out(
    operator: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    good, broken, missing = make_dataset(10), make_dataset(20), make_dataset(30)
    (store.folder / broken.path).write_bytes(b"broken")
    Dataset.objects.filter(pk=missing.pk).update(state="missing")

    reply = in_admin(operator, "download", good, broken, missing)

    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    left_out = archive.read("LEFT-OUT.txt").decode()
    assert sorted(archive.namelist()) == ["BINANCE_BTCUSDT_1h_10.parquet", "LEFT-OUT.txt"]
    assert "BINANCE:BTCUSDT 1h 20 is left out: " in left_out
    assert "BINANCE:BTCUSDT 1h 30 is left out: it is missing." in left_out
    assert "1h 30 is left out" in operator.get(ADMIN).content.decode()


def test_a_failed_fetch_can_be_requested_again_in_the_admin(
    operator: Client, queued: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    failed = Fetch.objects.create(**a_key().as_dict(), state="failed", error_code="feed_timeout")

    with django_capture_on_commit_callbacks(execute=True):
        page = operator.post(
            "/admin/datasets/fetch/",
            {"action": "ask_again", "_selected_action": [failed.pk]},
            follow=True,
        ).content.decode()

    assert "1 fetch requested again." in page
    [new] = queued
    assert new != failed.pk
    assert LogEntry.objects.get().get_change_message() == f"Requested again: fetch {new}."


@pytest.mark.parametrize("symbol", ["M&M", "A+B", "BTC%USDT"])
def test_the_admin_opens_the_same_series_in_the_chart(
    operator: Client, make_dataset: MakeDataset, symbol: str
) -> None:
    dataset = make_dataset(10, symbol=symbol, session="extended", adjustment="dividends")

    page = operator.get(f"{ADMIN}{dataset.pk}/change/").content.decode()

    address = page.split('">Open in the chart')[0].split('href="')[-1].replace("&amp;", "&")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked == {
        "symbol": symbol,
        "exchange": "BINANCE",
        "timeframe": "1h",
        "n_bars": "10",
        "session": "extended",
        "adjustment": "dividends",
    }
    assert dataset.source == settings.TV_SOURCE
