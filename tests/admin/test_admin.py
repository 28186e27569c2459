"""The pages of the admin and their actions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets.models import Dataset, Fetch
from datasets.storage import FolderStore
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]
LIST = "/admin/datasets/dataset/"


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def many_datasets(make_dataset: MakeDataset) -> None:
    template = make_dataset(10)
    names = [field.name for field in Dataset._meta.fields if field.name != "id"]
    rows = []
    for number in range(6_000):
        copy = Dataset(**{name: getattr(template, name) for name in names})
        copy.symbol = f"S{number}"
        copy.path = f"sample/BINANCE_S{number}_1h_10.parquet"
        rows.append(copy)
    Dataset.objects.bulk_create(rows)


def act(client: Client, action: str, *datasets: Dataset, **more: str) -> Any:
    chosen = [dataset.pk for dataset in datasets]
    return client.post(LIST, {"action": action, "_selected_action": chosen, **more}, follow=True)


def test_the_start_page_shows_the_state_of_the_service(
    operator: Client, make_dataset: MakeDataset
) -> None:
    make_dataset()
    Fetch.objects.create(
        **a_key().as_dict(),
        state="failed",
        error_code="feed_timeout",
        finished_at="2099-01-01T00:00Z",
    )

    page = operator.get("/admin/").content.decode()

    for text in ("sample", "guest", "no limit", "1 feed_timeout", "0 running, 0 queued"):
        assert text in page, text


def test_the_list_shows_the_content_of_each_dataset(
    operator: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300, reply={"n_duplicates": 2, "last_bar_final": False})

    page = operator.get(LIST).content.decode()

    for text in (
        "BINANCE",
        "BTCUSDT",
        "1h",
        "300",
        "2025-01-01 to 2025-01-13",
        "ready",
        "2 duplicates dropped",
    ):
        assert text in page, text


@pytest.mark.parametrize(
    "query",
    ["", "?q=btc", "?state__exact=ready", "?exchange=BINANCE&timeframe__exact=1h", "?o=4", "?p=1"],
)
def test_the_list_can_be_searched_filtered_and_ordered(
    operator: Client, make_dataset: MakeDataset, query: str
) -> None:
    make_dataset(300)

    assert "BTCUSDT" in operator.get(LIST + query).content.decode()


def test_the_queries_do_not_grow_with_the_rows(
    operator: Client, many_datasets: None, django_assert_max_num_queries: Any
) -> None:
    lists = ["", "?q=S59", "?state__exact=ready&exchange=BINANCE", "?o=7", "?p=100"]
    # One catalog for all pages: its 6,000 rows take longer than the pages.
    for path, most in [*((LIST + query, 9) for query in lists), ("/admin/", 12)]:
        with django_assert_max_num_queries(most) as captured:
            assert operator.get(path).status_code == 200

        counts = [query["sql"] for query in captured.captured_queries if "COUNT(" in query["sql"]]
        assert counts, path
        assert path == "/admin/" or all("LIMIT" in sql for sql in counts), path


def test_the_page_of_a_dataset_shows_its_origin_and_its_chart(
    operator: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)

    page = operator.get(f"{LIST}{dataset.pk}/change/").content.decode()

    assert dataset.content_hash in page
    assert f'data-bars-url="/api/tv/datasets/{dataset.pk}/bars?format=columns"' in page
    assert "Etc/UTC" in page
    assert "SHA-256 over the bars" in page
    assert 'name="_save"' not in page
    assert operator.get(f"/api/tv/datasets/{dataset.pk}/bars?format=columns").status_code == 200


@pytest.mark.parametrize("state", ["missing", "corrupt", "invalidated"])
def test_a_dataset_without_a_file_also_has_a_page(
    operator: Client, make_dataset: MakeDataset, state: str
) -> None:
    dataset = make_dataset(300, reply={"last_bar_final": None})
    Dataset.objects.update(state=state)

    assert state in operator.get(f"{LIST}{dataset.pk}/change/").content.decode()


def test_fetching_again_queues_a_fetch_and_is_logged(
    operator: Client,
    make_dataset: MakeDataset,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    datasets = [make_dataset(10), make_dataset(20)]

    with django_capture_on_commit_callbacks(execute=True):
        page = act(operator, "fetch", *datasets).content.decode()

    assert "2 datasets queued to be fetched again." in page
    assert len(queued) == 2
    assert Fetch.objects.first().requested_via == "admin"  # type: ignore[union-attr]
    assert {entry.get_change_message() for entry in LogEntry.objects.all()} == {
        f"Fetch again: fetch {pk}." for pk in queued
    }


def test_a_pinned_dataset_does_not_stop_the_fetches_of_the_others(
    operator: Client, make_dataset: MakeDataset
) -> None:
    datasets = [make_dataset(10), make_dataset(20)]
    act(operator, "pin", datasets[0])

    page = act(operator, "fetch", *datasets).content.decode()

    assert "1 dataset queued to be fetched again." in page
    assert "is pinned" in page


def test_verifying_names_the_damaged_dataset(
    operator: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset, damaged = make_dataset(10), make_dataset(20)
    (store.folder / damaged.path).write_bytes(b"broken")

    page = act(operator, "verify", dataset, damaged).content.decode()

    assert "2 datasets verified." in page
    assert "20: Verified: corrupt. " in page
    assert dict(Dataset.objects.values_list("n_bars", "state")) == {10: "ready", 20: "corrupt"}


def test_a_pinned_dataset_is_not_invalidated_until_it_is_unpinned(
    operator: Client, make_dataset: MakeDataset
) -> None:
    dataset, pinned = make_dataset(10), make_dataset(20)
    act(operator, "pin", pinned)

    page = act(operator, "invalidate", dataset, pinned, confirmed="1").content.decode()

    assert "1 dataset invalidated" in page
    assert "is pinned" in page
    assert dict(Dataset.objects.values_list("n_bars", "state")) == {10: "invalidated", 20: "ready"}
    act(operator, "unpin", pinned)
    act(operator, "invalidate", pinned)
    assert set(Dataset.objects.values_list("state", flat=True)) == {"invalidated"}


@pytest.mark.parametrize("query", ["?o=5", "?o=-5"])
def test_an_index_serves_the_list_in_both_directions(
    operator: Client, make_dataset: MakeDataset, query: str
) -> None:
    make_dataset(10)

    page = operator.get(LIST + query)

    plan = page.context["cl"].queryset[:50].explain()
    assert "dataset_last_time" in plan or connection.vendor != "sqlite", plan
    assert "TEMP B-TREE" not in plan


def test_a_search_also_finds_words_of_the_description(
    operator: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(10)
    Dataset.objects.update(instrument={"description": "Royal Mining plc"})

    assert "BTCUSDT" in operator.get(f"{LIST}?q=royal").content.decode()
    assert "BTCUSDT" not in operator.get(f"{LIST}?q=loyal").content.decode()


@pytest.mark.parametrize("table", ["dataset", "fetch", "series"])
def test_the_choices_of_a_filter_do_not_read_every_row(operator: Client, table: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        operator.get(f"/admin/datasets/{table}/")

    assert not [query for query in captured.captured_queries if "DISTINCT" in query["sql"]]


def test_no_page_counts_the_rows_of_each_filter(
    operator: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(10)

    assert "_facets" not in operator.get(LIST).content.decode()


def test_one_file_is_downloaded_unchanged_and_several_in_an_archive(
    operator: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    first, second = make_dataset(10), make_dataset(20)

    single = act(operator, "download", first)
    archive = zipfile.ZipFile(io.BytesIO(act(operator, "download", first, second).content))

    assert b"".join(single) == (store.folder / first.path).read_bytes()
    assert archive.namelist() == ["BINANCE_BTCUSDT_1h_20.parquet", "BINANCE_BTCUSDT_1h_10.parquet"]


def test_sample_bars_and_real_bars_have_separate_folders_in_an_archive(
    operator: Client, make_dataset: MakeDataset
) -> None:
    sample, real = make_dataset(10), make_dataset(10, source="tradingview")

    archive = zipfile.ZipFile(io.BytesIO(act(operator, "download", sample, real).content))

    assert set(archive.namelist()) == {sample.path, real.path}


def test_nothing_can_be_added_changed_or_deleted_by_hand(
    operator: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(10)

    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.get(f"{LIST}{dataset.pk}/delete/").status_code == 403
    assert operator.post(f"{LIST}{dataset.pk}/change/", {"state": "corrupt"}).status_code == 403


@pytest.mark.parametrize(
    ("action", "codename"),
    [
        ("fetch", "fetch_dataset"),
        ("invalidate", "invalidate_dataset"),
        ("verify", "verify_dataset"),
        ("pin", "pin_dataset"),
        ("unpin", "pin_dataset"),
    ],
)
def test_each_action_needs_its_permission(
    client: Client, make_dataset: MakeDataset, queued: list[int], action: str, codename: str
) -> None:
    dataset = make_dataset(10)
    staff = User.objects.create_user("bob", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_dataset"))
    client.force_login(staff)

    page = client.get(LIST).content.decode()
    act(client, action, dataset)

    assert f'value="{action}"' not in page
    assert 'value="download"' in page
    assert not LogEntry.objects.exists()

    staff.user_permissions.add(Permission.objects.get(codename=codename))
    act(client, action, dataset)

    assert LogEntry.objects.count() == 1


def test_a_download_needs_the_permission_to_view(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(10)
    client.force_login(User.objects.create_user("bob", is_staff=True))

    assert act(client, "download", dataset).status_code == 403


def test_cancelling_needs_the_permission_to_fetch(client: Client, db: None) -> None:
    fetch = Fetch.objects.create(**a_key().as_dict(), requested_via="api")
    staff = User.objects.create_user("bob", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_fetch"))
    client.force_login(staff)

    client.post("/admin/datasets/fetch/", {"action": "cancel", "_selected_action": [fetch.pk]})

    fetch.refresh_from_db()
    assert fetch.state == "queued"


def test_every_field_has_a_help_text() -> None:
    for model in apps.get_app_config("datasets").get_models():
        for field in model._meta.fields:
            assert field.help_text or field.primary_key, f"{model.__name__}.{field.name}"


def test_every_field_of_a_datasets_page_shows_a_help_text(
    operator: Client, make_dataset: MakeDataset
) -> None:
    page = operator.get(f"{LIST}{make_dataset(10).pk}/change/")

    lines = [line for fieldset in page.context["adminform"] for line in fieldset]
    fields = [shown.field for line in lines for shown in line]
    assert len(fields) > 20
    for field in fields:
        assert field["help_text"], field["name"]


def test_a_queued_fetch_can_be_cancelled(operator: Client, db: None) -> None:
    fetch = Fetch.objects.create(**a_key().as_dict(), requested_via="api")

    operator.post("/admin/datasets/fetch/", {"action": "cancel", "_selected_action": [fetch.pk]})

    fetch.refresh_from_db()
    assert fetch.state == "cancelled"
    assert operator.get(f"/admin/datasets/fetch/{fetch.pk}/change/").status_code == 200
