"""Many fetches asked for at once: all checked first, refused one by one, counted one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches
from django.db import IntegrityError
from django.test import Client

from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch
from datasets.serving import clients
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The fetches that were handed to the workers; nobody does them here."""
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    clients.fetches.forget()
    caches["counts"].clear()
    return found


@pytest.fixture
def post(client: Client, db: None, django_capture_on_commit_callbacks: Any) -> Callable[..., Any]:
    def send(**wanted: Any) -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return client.post("/api/tv/fetches", {"n_bars": 300} | wanted, content_type="application/json")  # fmt: skip

    return send


def body(response: Any) -> Any:
    return json.loads(response.content)


def test_a_refused_symbol_in_the_middle_keeps_no_other_from_being_fetched(
    post: Callable[..., Any], make_dataset: MakeDataset, queued: list[int]
) -> None:
    pinned = make_dataset(300, symbol="B")
    Dataset.objects.update(is_pinned=True)

    response = post(symbols=["BINANCE:A", "BINANCE:B", "BINANCE:C"], use_cache=False)

    assert response.status_code == 202
    said = body(response)
    assert [row["full_symbol"] for row in said["fetches"]] == ["BINANCE:A", "BINANCE:C"]
    assert [row["id"] for row in said["fetches"]] == queued
    (refused,) = said["refused"]
    assert (refused["full_symbol"], refused["code"], refused["retryable"]) == (pinned.key.full_symbol, "invalid_request", False)  # fmt: skip
    assert "pinned" in refused["detail"]
    assert said["cached"] == []


def test_what_is_cached_is_not_fetched_again_unless_that_is_asked(
    post: Callable[..., Any], make_dataset: MakeDataset, queued: list[int]
) -> None:
    dataset = make_dataset(300)
    many = ["BINANCE:BTCUSDT", "BINANCE:A"]

    first, again = body(post(symbols=many)), body(post(symbols=many, use_cache=False))

    assert [row["full_symbol"] for row in first["fetches"]] == ["BINANCE:A"]
    assert first["cached"] == [{"full_symbol": "BINANCE:BTCUSDT", "dataset": dataset.pk}]
    assert [row["full_symbol"] for row in again["fetches"]] == many
    assert len(queued) == 2


def test_one_symbol_that_is_cached_is_a_200_that_names_the_dataset(
    post: Callable[..., Any], make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300)

    cached, fetched = (post(symbol="BINANCE:BTCUSDT"), post(symbol="BINANCE:BTCUSDT", use_cache=False))  # fmt: skip

    assert (cached.status_code, fetched.status_code) == (200, 202)
    assert body(cached) == {"fetches": [], "refused": [], "cached": [{"full_symbol": "BINANCE:BTCUSDT", "dataset": dataset.pk}]}  # fmt: skip
    assert body(fetched)["full_symbol"] == "BINANCE:BTCUSDT"


def test_one_symbol_that_is_refused_is_that_refusal(
    post: Callable[..., Any], make_dataset: MakeDataset
) -> None:
    make_dataset(300)
    Dataset.objects.update(is_pinned=True)

    response = post(symbol="BINANCE:BTCUSDT", use_cache=False)

    assert (response.status_code, list(body(response)["errors"])) == (400, ["use_cache"])


def test_the_limit_counts_symbols_and_says_of_each_that_is_too_many_when_to_ask_again(
    post: Callable[..., Any], make_dataset: MakeDataset, settings: Any, queued: list[int]
) -> None:
    settings.API_FETCHES_PER_MINUTE = 2
    make_dataset(300)
    fetch_queue.open_fetch(a_key(symbol="JOINED"), via="api")
    many = [f"BINANCE:{name}" for name in ("BTCUSDT", "JOINED", "A", "B", "C", "D")]

    response = post(symbols=many)

    assert response.status_code == 202
    said = body(response)
    # What is cached, and what is joined, costs nothing.
    assert [row["full_symbol"] for row in said["fetches"]] == many[1:4]
    assert len(queued) == 2
    assert [row["full_symbol"] for row in said["refused"]] == many[4:]
    for row in said["refused"]:
        assert (row["code"], row["retryable"]) == ("too_many_requests", True)
        assert 1 <= row["retry_after_s"] <= 60


def test_where_all_are_too_many_the_reply_is_a_429(post: Callable[..., Any], settings: Any) -> None:
    settings.API_FETCHES_PER_MINUTE = 1
    post(symbol="X:A")

    response = post(symbols=["X:B", "X:C"])

    assert (response.status_code, body(response)["code"]) == (429, "too_many_requests")
    assert "Retry-After" in response


def test_a_queue_that_fails_half_way_has_none_queued(
    post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, queued: list[int]
) -> None:
    create = Fetch.objects.create

    def fail_at_the_second(**values: Any) -> Fetch:
        if values["symbol"] == "B":
            raise IntegrityError
        return create(**values)

    monkeypatch.setattr(Fetch.objects, "create", fail_at_the_second)

    response = post(symbols=["X:A", "X:B"])

    assert (response.status_code, body(response)["code"]) == (500, "store_failed")
    assert not Fetch.objects.exists()
    assert not queued


def test_a_misspelt_symbol_is_named_and_none_is_queued(post: Callable[..., Any]) -> None:
    response = post(symbols=["X:A", "nothing", "also nothing"])

    assert response.status_code == 400
    assert len(body(response)["errors"]["symbols"]) == 2
    assert not Fetch.objects.exists()


@pytest.mark.parametrize(
    ("setting", "code"), [("MAX_QUEUED_PER_CLIENT", "too_many_requests"), ("MAX_QUEUED", "queue_full")]
)  # fmt: skip
def test_symbols_beyond_the_room_in_the_queue_are_refused_one_by_one(
    post: Callable[..., Any], settings: Any, setting: str, code: str
) -> None:
    setattr(settings, setting, 2)

    said = body(post(symbols=["X:A", "X:B", "X:C"]))

    assert [row["full_symbol"] for row in said["fetches"]] == ["X:A", "X:B"]
    (refused,) = said["refused"]
    assert (refused["full_symbol"], refused["code"], refused["retryable"]) == ("X:C", code, True)
    assert refused["retry_after_s"] > 0
