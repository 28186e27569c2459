"""GET /api/tv/bars/{content_hash}: bars that any cache may keep, and the ways from `ohlc` to them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.bars import Instrument
from datasets.catalog import records
from datasets.models import ApiToken, Dataset
from datasets.serving import usage
from datasets.serving.reply_bodies import bodies
from datasets.storage import FolderStore
from tests.support.factories import START, bars_table, fetched_bars
from tests.support.statements import statements

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300"
FOR_A_YEAR = "max-age=31536000, immutable"


@pytest.fixture(autouse=True)
def nothing_rendered() -> None:
    bodies.rendered.clear()


def address_of(dataset: Dataset, query: str = "") -> str:
    return f"/api/tv/bars/{dataset.content_hash}{query}"


def test_the_bars_of_a_content_hash_may_be_kept_for_a_year(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)
    told = client.get(OHLC).json()

    response = client.get(address_of(dataset))

    assert response.status_code == 200
    assert response["Cache-Control"] == f"public, {FOR_A_YEAR}"
    assert list(response.json()) == ["content_hash", "count", "ohlc"]
    assert response.json() == {name: told[name] for name in ("content_hash", "count", "ohlc")}
    again = client.get(address_of(dataset), headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again["Cache-Control"]) == (304, response["Cache-Control"])
    assert not response["ETag"].startswith("W/")
    head = client.head(address_of(dataset))
    assert (head.status_code, head["Content-Length"]) == (200, str(len(response.content)))


def test_only_the_readers_own_cache_keeps_bars_that_need_a_sign_in(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    dataset = make_dataset(300)
    settings.API_ACCESS = "login"
    token = ApiToken(name="reader", user=User.objects.create_user("reader"), scope="read")
    secret = token.renew()
    token.save()

    refused = client.get(address_of(dataset))
    allowed = client.get(address_of(dataset), headers={"Authorization": f"Bearer {secret}"})

    assert (refused.status_code, refused["Cache-Control"]) == (401, "no-store")
    assert (allowed.status_code, allowed["Cache-Control"]) == (200, f"private, {FOR_A_YEAR}")


@pytest.mark.parametrize("format", ["json", "columns", "csv", "arrow", "parquet"])
def test_datasets_of_two_keys_with_the_same_bars_give_the_same_bytes(
    client: Client, make_dataset: MakeDataset, format: str
) -> None:
    first = make_dataset(300, symbol="BTCUSDT")
    one = client.get(address_of(first, f"?format={format}"))
    second = make_dataset(300, symbol="XBT", reply={"fetched_at": datetime(2025, 7, 1, tzinfo=UTC)})
    assert first.content_hash == second.content_hash
    Dataset.objects.filter(pk=first.pk).update(state=Dataset.State.INVALIDATED)
    bodies.rendered.clear()

    other = client.get(address_of(second, f"?format={format}"))

    assert (one.status_code, other.status_code) == (200, 200)
    assert other.content == one.content
    assert other["ETag"] == one["ETag"]


def test_bars_that_a_fetch_replaced_are_not_found_under_their_old_address(
    client: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(300)
    assert client.get(address_of(dataset)).status_code == 200
    newer = bars_table(300, start=START + 3600)
    records.record(
        store.write(dataset.key, fetched_bars(newer, fetched_at=datetime(2025, 6, 2, tzinfo=UTC)))
    )

    response = client.get(address_of(dataset))

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert "Ask /api/tv/ohlc again" in response.json()["detail"]
    assert response["Cache-Control"] == "no-store"
    assert client.get(client.get(OHLC).json()["bars_url"]).status_code == 200


def test_a_file_that_somebody_replaced_never_answers_for_the_old_bars(
    client: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    dataset = make_dataset(300)
    store.write(dataset.key, fetched_bars(bars_table(300, start=START + 7200)))

    assert client.get(address_of(dataset)).status_code == 404


@pytest.mark.parametrize("name", ["0" * 63, "0" * 65, "G" * 64, "A" * 64])
def test_an_address_that_is_no_content_hash_does_not_exist(
    client: Client, db: None, name: str
) -> None:
    assert client.get(f"/api/tv/bars/{name}").status_code == 404


@pytest.mark.parametrize("query", ["?closed=true", "?n_bars=5", "?format=xml", "?fields=price"])
def test_a_parameter_that_is_no_fact_of_the_bars_is_refused(
    client: Client, make_dataset: MakeDataset, query: str
) -> None:
    response = client.get(address_of(make_dataset(300), query))

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-8", 206, slice(-8, None)),
        ("bytes=99999999-", 416, None),
        ("lines=1-2", 200, slice(None)),
    ],
)
def test_a_part_of_the_parquet_bytes_is_sent_as_of_a_file(
    client: Client, make_dataset: MakeDataset, header: str, status: int, part: slice | None
) -> None:
    address = address_of(make_dataset(300), "?format=parquet")
    whole = client.get(address)

    response = client.get(address, headers={"Range": header})

    assert response.status_code == status
    if part is not None:
        assert response.content == whole.content[part]
        assert response["Cache-Control"] == f"public, {FOR_A_YEAR}"
        assert response["ETag"] == whole["ETag"]
    assert pq.read_table(io.BytesIO(whole.content)).num_rows == 300
    stale = {"Range": header, "If-Range": '"of-another-file"'}
    assert client.get(address, headers=stale).status_code == 200


def test_a_hot_reply_by_content_makes_no_query(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    settings.WEB_TRUST_MS = 60_000
    address = address_of(make_dataset(300))
    client.get(address)

    with statements() as made:
        assert client.get(address).status_code == 200

    assert made == []


@pytest.mark.parametrize(
    ("query", "bounds"),
    [
        ("", None),
        ("&n_bars=10", ("2025-01-13T02:00:00Z", "2025-01-13T11:00:01Z")),
        ("&closed=true", ("2025-01-01T00:00:00Z", "2025-01-13T10:00:01Z")),
        ("&start=2025-01-02&end=2025-01-03", ("2025-01-02T00:00:00Z", "2025-01-02T23:00:01Z")),
        ("&fields=time,close&format=csv", None),
    ],
)
def test_a_reply_names_the_address_of_just_its_bars(
    client: Client, make_dataset: MakeDataset, query: str, bounds: tuple[str, str] | None
) -> None:
    make_dataset(300, reply={"last_bar_final": False})
    asked = f"/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE{query if 'n_bars' in query else query + '&n_bars=300'}"

    told = client.get(asked)
    sent = client.get(f"{asked}&redirect=true")

    path = told["Link"].removeprefix("<").removesuffix('>; rel="canonical"')
    assert (sent.status_code, sent["Location"], sent["Cache-Control"]) == (307, path, "no-store")
    assert sent["Freshness"]
    if bounds is not None:
        assert f"start={bounds[0]}&end={bounds[1]}" in path
    by_content = client.get(path)
    assert by_content["Content-Type"] == told["Content-Type"]
    if "csv" in query:
        assert by_content.content == told.content
    else:
        assert told.json()["bars_url"] == path
        assert by_content.json()["ohlc"] == told.json()["ohlc"]


def test_bars_without_an_address_come_at_once_although_a_redirect_was_asked_for(
    client: Client, make_dataset: MakeDataset
) -> None:
    instrument = Instrument(timezone="Etc/UTC", session_hours="24x7")
    make_dataset(300, reply={"instrument": instrument})

    response = client.get(f"{OHLC.replace('300', '10')}&timeframe=7h&redirect=true")

    assert response.status_code == 200
    assert json.loads(response.content)["bars_url"] is None
    assert "Link" not in response


def test_a_dataset_that_was_contradicted_names_no_address(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)
    Dataset.objects.filter(pk=dataset.pk).update(state=Dataset.State.SUPERSEDED)

    response = client.get(f"/api/tv/datasets/{dataset.pk}/bars")

    assert response.json()["bars_url"] is None
    assert client.get(address_of(dataset)).status_code == 404


def test_a_read_by_content_counts_as_a_read_of_the_dataset(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)
    usage._hits._counts.clear()

    client.get(address_of(dataset))

    assert list(usage._hits._counts) == [dataset.pk]


def test_an_arrow_reply_by_content_has_no_metadata_of_a_dataset(
    client: Client, make_dataset: MakeDataset
) -> None:
    response = client.get(address_of(make_dataset(300), "?format=arrow"))

    assert pa.ipc.open_stream(response.content).read_all().schema.metadata is None


@pytest.mark.parametrize(
    ("access", "seconds", "headers", "expected"),
    [
        ("open", 1, {}, "1"),
        ("open", 0, {}, None),
        ("open", 1, {"Authorization": "Bearer {secret}"}, None),
        ("login", 1, {"Authorization": "Bearer {secret}"}, None),
    ],
)
def test_a_proxy_may_keep_only_bars_that_anybody_may_have(
    client: Client, make_dataset: MakeDataset, settings: Any, access: str, seconds: int, headers: dict[str, str], expected: str | None,
) -> None:  # fmt: skip
    make_dataset(300)
    settings.API_ACCESS, settings.X_ACCEL_EXPIRES_S = access, seconds
    token = ApiToken(name="reader", user=User.objects.create_user("reader"), scope="read")
    sent = {name: text.format(secret=token.renew()) for name, text in headers.items()}
    token.save()

    response = client.get(OHLC, headers=sent)

    assert response.status_code == 200
    assert response.get("X-Accel-Expires") == expected
