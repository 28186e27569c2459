"""Pages of the API's lists: complete, without repetition, and as cheap at the end as at the beginning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets.models import Dataset, Fetch

MakeDataset = Callable[..., Dataset]
NUMBER = 1_300


def copies(row: Any, number: int, **changes: Callable[[int], Any]) -> None:
    """Add `number` rows like this one, with the given columns of each."""
    names = [field.attname for field in row._meta.fields if field.name != "id"]
    made = []
    for index in range(number):
        values = {name: getattr(row, name) for name in names}
        made.append(type(row)(**values | {name: value(index) for name, value in changes.items()}))
    type(row).objects.bulk_create(made, batch_size=300)


@pytest.fixture
def many(make_dataset: MakeDataset) -> None:
    """More datasets of one exchange than any page has, and some of another one."""
    copies(
        make_dataset(20, symbol="A"),
        NUMBER,
        symbol=lambda index: f"S{index:04}",
        path=lambda index: f"sample/{index}.parquet",
        exchange=lambda index: "OTHER" if index % 13 == 0 else "BINANCE",
        n_rows=lambda index: index % 7,
    )


def walk(client: Client, address: str, link: str = "next") -> list[int]:
    """Follow the links to the end, and return the ids of all pages."""
    found: list[int] = []
    for _ in range(30):
        page = client.get(address).json()
        found += [row["id"] for row in page["results"]]
        if page[link] is None:
            return found
        address = page[link]
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("ordering", ["exchange", "-exchange", "-n_rows,symbol", "timeframe", ""])
@pytest.mark.usefixtures("many")
def test_the_pages_of_a_list_have_each_row_once_also_among_many_equal_values(
    client: Client, ordering: str
) -> None:
    found = walk(
        client, f"/api/tv/datasets?page_size=300&{f'ordering={ordering}' * bool(ordering)}"
    )

    assert len(found) == len(set(found)) == NUMBER + 1
    names = ordering.split(",") if ordering else ["-fetched_at"]
    direction = "-" if names[0].startswith("-") else ""
    expected = Dataset.objects.order_by(*names, f"{direction}id").values_list("id", flat=True)
    assert found == list(expected)


@pytest.mark.usefixtures("many")
def test_the_way_back_has_the_same_pages(client: Client) -> None:
    first = client.get("/api/tv/datasets?page_size=500&ordering=exchange").json()
    second = client.get(first["next"]).json()

    back = client.get(second["previous"]).json()

    assert first["previous"] is None
    assert back["results"] == first["results"]
    assert client.get(back["next"]).json()["results"] == second["results"]
    assert back["previous"] is None


def test_pages_go_over_rows_without_a_value(client: Client, make_dataset: MakeDataset) -> None:
    dataset = make_dataset(20)
    now = timezone.now()
    fetch = Fetch(**dataset.key.as_dict(), state="succeeded", requested_via="api")
    copies(
        fetch,
        25,
        finished_at=lambda index: None if index % 2 else now - timedelta(seconds=index // 4),
    )

    for ordering in ("finished_at", "-finished_at"):
        found = walk(client, f"/api/tv/fetches?page_size=4&ordering={ordering}")
        assert len(found) == len(set(found)) == 25
        ended = [row is None for row in _finished(found)]
        assert ended == sorted(ended, reverse=ordering.startswith("-"))


def _finished(numbers: list[int]) -> list[Any]:
    rows = Fetch.objects.in_bulk(numbers)
    return [rows[number].finished_at for number in numbers]


@pytest.mark.usefixtures("many")
def test_a_late_page_takes_few_queries_and_each_reads_only_rows_that_it_returns(
    client: Client,
) -> None:
    page = client.get("/api/tv/datasets?page_size=50&ordering=exchange").json()
    for _ in range(20):
        page = client.get(page["next"]).json()

    with CaptureQueriesContext(connection) as captured:
        client.get(page["next"])

    assert len(captured) <= 2
    assert not [query for query in captured if "OFFSET" in query["sql"]]


@pytest.mark.parametrize("cursor", ["WzAsIFtudWxsLCAxXV0=", "WzAsIFtdXQ==", "W10=", "e30=", "MQ=="])
def test_a_cursor_that_names_no_row_of_the_list_is_refused(
    client: Client, make_dataset: MakeDataset, cursor: str
) -> None:
    make_dataset(20)

    reply = client.get("/api/tv/datasets", {"cursor": cursor})

    assert reply.status_code == 400
    assert list(reply.json()["errors"]) == ["cursor"]
