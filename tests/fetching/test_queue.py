"""The queue of fetches: it is bounded, and clients take turns."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets import errors
from datasets.fetching import fetch_queue, tasks
from datasets.models import Dataset, Fetch
from tests.api.test_ohlc import MakeDataset
from tests.support.factories import a_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", lambda fetch_id: None)


def queue(symbol: str, *, by: str = "", **changes: Any) -> Fetch:
    return fetch_queue.open_fetch(a_key(symbol=symbol, **changes), via="api", by=by)[0]


def order() -> list[str]:
    ids = fetch_queue.next_fetches(at_most=1000)
    symbols = dict(Fetch.objects.values_list("pk", "symbol"))
    return [symbols[pk] for pk in ids]


def begin(n: int) -> None:
    """Start the next `n` fetches."""
    ids = fetch_queue.next_fetches(at_most=n)
    Fetch.objects.filter(pk__in=ids).update(state="succeeded")


def test_a_clients_single_fetch_is_next_before_a_hundred_of_another_client() -> None:
    for number in range(100):
        queue(f"A{number}", by="alice")
    begin(40)

    queue("B", by="bob")

    assert order()[:3] == ["A40", "B", "A41"]


def test_clients_take_turns_in_the_order_of_their_requests() -> None:
    for number in range(3):
        queue(f"A{number}", by="alice")
    for number in range(3):
        queue(f"B{number}", by="bob")
    queue("C0", by="carol")

    assert order() == ["A0", "B0", "C0", "A1", "B1", "A2", "B2"]


def test_a_client_that_repeats_requests_at_once_gets_no_extra_turns() -> None:
    for number in range(20):
        queue(f"A{number}", by="alice")
    begun: Counter[str] = Counter()
    for number in range(20):
        queue(f"B{number}", by="bob")
        begun[order()[0][0]] += 1
        begin(1)

    assert begun == {"A": 10, "B": 10}


def test_a_fetch_that_waits_for_another_attempt_gives_no_client_an_early_turn() -> None:
    late = queue("LATE", by="carol")
    Fetch.objects.filter(pk=late.pk).update(state="running")
    fetch_queue.retry_later(late.pk, errors.FeedClosed("cut"), delay_s=60)
    for number in range(5):
        queue(f"A{number}", by="alice")
    begin(4)
    for number in range(3):
        queue(f"B{number}", by="bob")

    assert order() == ["A4", "B0", "B1", "B2"]


def test_a_worker_takes_the_next_fetch_in_turn_and_ignores_the_number_in_the_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []

    def take(fetch_id: int) -> bool:
        taken.append(fetch_id)
        return True

    monkeypatch.setattr("datasets.fetching.run_fetch", take)
    for number in range(3):
        queue(f"A{number}", by="alice")
    single = queue("B", by="bob")
    begin(1)

    tasks.fetch.run(Fetch.objects.get(symbol="A2").pk)

    assert taken == [single.pk]


def test_a_client_at_its_limit_is_refused_and_other_clients_are_not(
    client: Client, settings: Any
) -> None:
    settings.MAX_QUEUED_PER_CLIENT = 2
    address = "/api/tv/ohlc?exchange=X&wait=0&symbol="
    for symbol in "AB":
        assert client.get(address + symbol).status_code == 202

    refused = client.get(address + "C")
    joined = client.get(address + "A")
    other = client.get(address + "C", REMOTE_ADDR="203.0.113.9")

    assert (refused.status_code, refused["Retry-After"]) == (429, "30")
    problem = json.loads(refused.content)
    assert (problem["code"], problem["retryable"]) == ("too_many_requests", True)
    assert "2 of your fetches are already queued" in problem["detail"]
    assert (joined.status_code, other.status_code) == (202, 202)


def test_a_full_queue_is_a_503_with_retry_after(client: Client, settings: Any) -> None:
    settings.MAX_QUEUED = 1
    queue("A", by="alice")

    refused = client.get("/api/tv/ohlc?exchange=X&wait=0&symbol=B")

    assert (refused.status_code, refused["Retry-After"]) == (503, "30")
    problem = json.loads(refused.content)
    assert (problem["code"], problem["retryable"]) == ("queue_full", True)
    begin(1)
    assert client.get("/api/tv/ohlc?exchange=X&wait=0&symbol=B").status_code == 202


def test_a_full_queue_does_not_stop_the_serving_of_a_stale_dataset(
    client: Client, settings: Any, make_dataset: MakeDataset
) -> None:
    settings.MAX_QUEUED = 1
    queue("A")
    make_dataset(300)
    Dataset.objects.update(fetched_at="2020-01-01T00:00Z")

    reply = client.get(
        "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300&max_age=60&max_stale=999999999"
    )

    assert (reply.status_code, json.loads(reply.content)["stale"]) == (200, True)


def test_the_search_for_the_next_fetch_reads_few_rows_of_a_long_queue() -> None:
    key = a_key().as_dict()
    Fetch.objects.bulk_create(
        Fetch(**key | {"symbol": f"S{n}"}, requested_by=f"c{n % 7}", turn=n) for n in range(2000)
    )
    with CaptureQueriesContext(connection) as taking:
        fetch_queue.next_fetches(at_most=64)
    with CaptureQueriesContext(connection) as asking:
        queue("B", by="bob")

    assert "B-TREE" not in plans(taking)
    assert "SCAN" not in plans(taking) + plans(asking)


def plans(queries: CaptureQueriesContext) -> str:
    """Return the query plans of SQLite."""
    found = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            if query["sql"].startswith("SELECT"):
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                found += [row[-1] for row in cursor.fetchall()]
    return "\n".join(found)
