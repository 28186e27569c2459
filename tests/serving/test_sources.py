"""Two services of different sources on one folder never take, end or replace each other's fetches."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from datasets import fetching
from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch
from datasets.views import staff_actions
from tests.support.factories import a_key
from tests.support.stacks import Feed, Stack

MakeDataset = Callable[..., Dataset]
LONG_AGO = timedelta(minutes=10)


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


def queue(**changes: Any) -> Fetch:
    return fetch_queue.open_fetch(a_key(**changes), via="api")[0]


@pytest.mark.django_db(transaction=True)
def test_a_worker_leaves_a_fetch_of_another_source_in_the_queue(settings: Any) -> None:
    fetch = queue(source="tradingview")

    fetching.run_fetch(fetch.pk)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.attempts, fetch.error_code) == ("queued", 0, "")
    # A worker of that source finds the row by itself.
    settings.TV_SOURCE = "tradingview"
    assert fetch_queue.next_fetches(at_most=10) == [fetch.pk]


@pytest.mark.django_db(transaction=True)
def test_a_sweep_hands_out_and_gives_up_only_fetches_of_its_own_source() -> None:
    ours, theirs = queue(), queue(source="tradingview")
    dead = queue(source="tradingview", symbol="ETHUSDT")
    Fetch.objects.filter(pk=dead.pk).update(
        state="running", attempts=99, owner="x", lease_until=timezone.now() - LONG_AGO
    )

    assert fetch_queue.next_fetches(at_most=10) == [ours.pk]
    assert theirs.pk not in fetch_queue.next_fetches(at_most=10)
    dead.refresh_from_db()
    assert dead.state == "running"


@pytest.mark.django_db(transaction=True)
def test_what_a_source_without_workers_has_open_is_cancelled_and_nothing_else() -> None:
    ours, theirs = queue(), queue(source="tradingview")
    running = queue(symbol="ETHUSDT")
    Fetch.objects.filter(pk=running.pk).update(
        state="running", owner="x", lease_until=timezone.now()
    )

    assert fetch_queue.cancel_all("sample") == 2

    states = [Fetch.objects.get(pk=fetch.pk).state for fetch in (ours, running, theirs)]
    assert states == ["cancelled", "cancelled", "queued"]


def test_the_api_refuses_to_refresh_a_dataset_of_another_source(
    staff: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(source="tradingview")

    reply = staff.post(f"/api/tv/datasets/{dataset.pk}/refresh")

    assert reply.status_code == 400
    (sentence,) = json.loads(reply.content)["errors"]["source"]
    assert "'tradingview'" in sentence
    assert "'sample'" in sentence
    assert not Fetch.objects.exists()


def test_pages_refuse_to_refresh_a_dataset_of_another_source(
    staff: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(source="tradingview")

    done = staff_actions.act(User.objects.get(username="ada"), "fetch", [dataset], via="page")

    assert "TV_SOURCE=tradingview" in done.problems[0]
    assert not Fetch.objects.exists()


def test_the_admin_refuses_to_refresh_a_dataset_of_another_source(
    staff: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(source="tradingview")

    page = staff.post(
        "/admin/datasets/dataset/",
        {"action": "fetch", "_selected_action": [str(dataset.pk)]},
        follow=True,
    )

    assert "TV_SOURCE=tradingview" in page.content.decode()
    assert not Fetch.objects.exists()


@pytest.mark.slow
def test_two_services_of_different_sources_on_one_folder_make_their_own_fetches(
    tmp_path: Path, clean_feed: Feed
) -> None:
    stack = Stack(tmp_path, clean_feed)
    try:
        stack.start_worker()
        stack.start_worker(TV_SOURCE="tradingview")
        for source in ("sample", "tradingview"):
            symbols = [f"BINANCE:{name}USDT" for name in ("BTC", "ETH", "SOL", "XRP")]
            asked = ("fetch", *symbols, "-n", "20", "--json")
            done = stack.manage(*asked, check=False, TV_SOURCE=source)
            outcomes = {(row["source"], row["outcome"]) for row in json.loads(done.stdout)}
            assert outcomes == {(source, "succeeded")}
    finally:
        stack.stop()
