"""The endpoints beside /ohlc: catalog, files, fetches, status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets import catalog
from datasets.models import Dataset, Fetch
from datasets.storage import FolderStore
from tests.support.factories import bars_table, fetched_bars

MakeDataset = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def body(response: Any) -> Any:
    return json.loads(response.content)


def test_the_list_of_datasets_is_filtered_ordered_and_paged(
    client: Client, make_dataset: MakeDataset
) -> None:
    for n_rows in (10, 20, 30):
        make_dataset(n_rows)
    make_dataset(5, symbol="ETHUSDT")

    first = body(client.get("/api/tv/datasets?symbol=BTCUSDT&ordering=-n_rows&page_size=2"))
    second = body(client.get(first["next"]))

    assert [row["count"] for row in first["results"] + second["results"]] == [30, 20, 10]
    assert second["next"] is None
    assert (
        body(client.get("/api/tv/datasets?q=binance:eth"))["results"][0]["full_symbol"]
        == "BINANCE:ETHUSDT"
    )


@pytest.mark.parametrize(
    "query", ["simbol=X", "ordering=price", "state=good", "n_bars=many", "fetched_after=x"]
)
@pytest.mark.django_db
def test_a_wrong_filter_is_named(client: Client, query: str) -> None:
    response = client.get(f"/api/tv/datasets?{query}")

    assert response.status_code == 400
    assert query.split("=")[0] in body(response)["errors"]


@pytest.mark.parametrize("name", ["timeframe", "fetched_after"])
@pytest.mark.django_db
def test_a_wrong_filter_with_a_percent_sign_is_quoted_in_its_error(
    client: Client, name: str
) -> None:
    response = client.get(f"/api/tv/datasets?{name}=5%25n%25s")

    assert response.status_code == 400
    assert "5%n%s" in " ".join(body(response)["errors"][name])


def test_a_dataset_shows_everything_that_is_known_of_it(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)

    row = body(client.get(f"/api/tv/datasets/{dataset.pk}"))

    assert row["content_hash"] == dataset.content_hash
    assert row["instrument"]["pro_name"] == "BINANCE:BTCUSDT"
    assert row["path"] == "sample/BINANCE_BTCUSDT_1h_300.parquet"


@pytest.mark.parametrize(
    "address",
    [
        "datasets/99",
        "datasets/x",
        "datasets/99/file",
        "fetches/99",
        "fetches/9999999999999999999999",
    ],
)
@pytest.mark.django_db
def test_what_is_not_there_is_a_404(client: Client, address: str) -> None:
    response = client.get(f"/api/tv/{address}")

    assert (response.status_code, body(response)["code"]) == (404, "not_found")


def test_a_stranger_may_not_invalidate_or_refresh(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset()

    for response in (
        client.delete(f"/api/tv/datasets/{dataset.pk}"),
        client.post(f"/api/tv/datasets/{dataset.pk}/refresh"),
    ):
        assert (response.status_code, body(response)["code"]) == (401, "not_authenticated")
    assert Dataset.objects.get().state == "ready"
    assert not Fetch.objects.exists()


def test_staff_invalidates_and_refreshes(
    staff: Client,
    make_dataset: MakeDataset,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    dataset = make_dataset()

    assert staff.delete(f"/api/tv/datasets/{dataset.pk}").status_code == 204
    with django_capture_on_commit_callbacks(execute=True):
        refreshed = staff.post(f"/api/tv/datasets/{dataset.pk}/refresh")

    assert refreshed.status_code == 202
    assert refreshed["Location"] == f"/api/tv/fetches/{queued[0]}"
    assert Dataset.objects.get().state == "invalidated"


def test_the_file_is_the_one_on_disk_and_parts_of_it_can_be_asked_for(
    client: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset()
    content = (store.folder / dataset.path).read_bytes()
    address = f"/api/tv/datasets/{dataset.pk}/file"

    whole = client.get(address)
    assert b"".join(whole) == content
    assert whole["Content-Disposition"] == 'attachment; filename="BINANCE_BTCUSDT_1h_300.parquet"'
    for header, expected in {
        "bytes=0-3": content[:4],
        "bytes=-8": content[-8:],
        "bytes=10-": content[10:],
    }.items():
        part = client.get(address, headers={"Range": header})
        assert (part.status_code, part.content) == (206, expected)
    beyond = client.get(address, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{len(content)}")
    assert beyond["Content-Type"] == "application/problem+json"
    about = client.head(address, headers={"Range": "bytes=0-3"})
    assert (about.status_code, about["Content-Length"]) == (200, str(len(content)))
    assert b"".join(about) == b""
    known = client.get(address, headers={"If-None-Match": whole["ETag"]})
    assert (known.status_code, known["Content-Length"]) == (304, str(len(content)))
    outdated = client.get(address, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (outdated.status_code, b"".join(outdated)) == (200, content)


def test_a_file_that_is_replaced_while_it_is_asked_for_has_a_tag_of_its_own(
    client: Client, make_dataset: MakeDataset, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    address = f"/api/tv/datasets/{dataset.pk}/file"
    before = client.get(address)
    b"".join(before)
    check = catalog.path_to_read

    def check_and_be_overtaken(row: Dataset) -> Path:
        path = check(row)
        store.write(row.key, fetched_bars(bars_table(200)))
        return path

    monkeypatch.setattr(catalog, "path_to_read", check_and_be_overtaken)
    overtaken = client.get(address, headers={"If-None-Match": before["ETag"]})

    content = (store.folder / dataset.path).read_bytes()
    assert b"".join(overtaken) == content
    assert overtaken["Content-Length"] == str(len(content))
    assert overtaken["ETag"] != before["ETag"]


def test_a_file_that_is_deleted_while_it_is_asked_for_is_a_named_error(
    client: Client, make_dataset: MakeDataset, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    check = catalog.path_to_read

    def check_and_be_overtaken(row: Dataset) -> Path:
        path = check(row)
        path.unlink()
        return path

    monkeypatch.setattr(catalog, "path_to_read", check_and_be_overtaken)
    response = client.get(f"/api/tv/datasets/{dataset.pk}/file")

    assert (response.status_code, response.json()["code"]) == (500, "file_missing")


def test_an_nginx_in_front_is_told_which_file_to_send(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    dataset = make_dataset(symbol="BTCUSDT.P")
    settings.X_ACCEL_PREFIX = "/stored/"

    response = client.get(f"/api/tv/datasets/{dataset.pk}/file")

    assert response.status_code == 200
    assert response.content == b""
    assert response["X-Accel-Redirect"] == f"/stored/{quote(dataset.path)}"
    assert response["Content-Type"] == "application/vnd.apache.parquet"
    assert response["Content-Disposition"].startswith("attachment; filename=")
    known = {"If-None-Match": response["ETag"]}
    assert client.get(f"/api/tv/datasets/{dataset.pk}/file", headers=known).status_code == 304


def test_many_symbols_are_fetched_by_one_call_and_each_once(
    client: Client, db: None, queued: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    wanted = {
        "symbols": ["BINANCE:BTCUSDT", "binance:btcusdt", "NASDAQ:AAPL"],
        "timeframe": "1D",
        "n_bars": 10,
    }

    with django_capture_on_commit_callbacks(execute=True):
        response = client.post("/api/tv/fetches", wanted, content_type="application/json")

    assert response.status_code == 202
    assert [row["full_symbol"] for row in body(response)["fetches"]] == [
        "BINANCE:BTCUSDT",
        "NASDAQ:AAPL",
    ]
    assert len(queued) == 2


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "symbol"),
        ({"symbol": "X:Y", "symbols": ["X:Y"]}, "symbol"),
        ({"symbols": ["X:Y"] * 1001}, "symbols"),
        ({"symbols": ["BINANCE:BTCUSDT", "nothing"]}, "symbols"),
        ({"symbol": "X:Y", "timeframe": "9"}, "timeframe"),
        ({"symbol": "X:Y", "bars": 9}, "bars"),
        ([], "request"),
    ],
)
@pytest.mark.django_db
def test_a_wrong_request_for_fetches_starts_none(client: Client, wanted: Any, field: str) -> None:
    response = client.post("/api/tv/fetches", json.dumps(wanted), content_type="application/json")

    assert response.status_code == 400
    assert field in body(response)["errors"]
    assert not Fetch.objects.exists()


@pytest.mark.django_db
def test_broken_json_is_a_named_error(client: Client) -> None:
    response = client.post("/api/tv/fetches", "{", content_type="application/json")

    assert (response.status_code, body(response)["code"]) == (400, "invalid_request")


def test_a_queued_fetch_can_be_cancelled_and_a_running_one_not(client: Client, db: None) -> None:
    address = client.get("/api/tv/ohlc?symbol=X:Y&wait=0")["Location"]

    assert body(client.get(address))["state"] == "queued"
    assert client.delete(address).status_code == 204
    assert body(client.get(address))["state"] == "cancelled"
    assert client.delete(address).status_code == 400


def test_the_status_tells_the_feed_the_queue_and_the_disk(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset()

    status = body(client.get("/api/tv/status"))

    assert status["source"] == "sample"
    assert (status["datasets"], status["datasets_bytes"]) == (1, dataset.bytes)
    assert status["sign_in"]["kind"] == "guest"
    assert (status["tokens_left"], status["calls_per_minute"]) == (None, None)
    assert status["free_bytes"] > 0


@pytest.mark.parametrize(
    "address", ["ohlc?symbol=X:Y", "datasets", "fetches", "symbols?query=x", "status"]
)
@pytest.mark.django_db
def test_access_by_login_closes_every_endpoint(client: Client, settings: Any, address: str) -> None:
    settings.API_ACCESS = "login"

    assert client.get(f"/api/tv/{address}").status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.django_db
def test_a_method_that_is_not_there_is_a_problem(client: Client, method: str) -> None:
    response = getattr(client, method)("/api/tv/ohlc")

    assert response.status_code == 405
    assert response["Content-Type"] == "application/problem+json"
