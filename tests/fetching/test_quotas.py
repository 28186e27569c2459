"""The quota of fetches that one person may begin on a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from datasets.errors import TooManyRequests
from datasets.fetching import fetch_queue, fetch_quotas
from datasets.models import ApiToken, DailyFetches, Dataset, Fetch
from tests.support.factories import a_key


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


def ask(client: Client, symbol: str, **headers: str) -> Any:
    query = {"symbol": f"BINANCE:{symbol}", "wait": "0"}
    return client.get("/api/tv/ohlc", query, headers=headers)


def token_of(user: User, name: str) -> dict[str, str]:
    token = ApiToken(user=user, name=name, scope="fetch")
    secret = token.renew()
    token.save()
    return {"Authorization": f"Bearer {secret}"}


def test_a_person_and_all_their_tokens_share_one_quota(
    client: Client, db: None, settings: Any
) -> None:
    settings.API_FETCHES_PER_DAY = 3
    ada = User.objects.create_user("ada")
    one, two = token_of(ada, "one"), token_of(ada, "two")
    other = token_of(User.objects.create_user("bob"), "bob's")

    statuses = [ask(client, "A", **one), ask(client, "B", **two), ask(client, "C", **one)]
    refused = ask(client, "D", **two)

    assert [reply.status_code for reply in statuses] == [202, 202, 202]
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_requests"
    assert "3 fetches today" in refused.json()["detail"]
    assert "00:00 UTC" in refused.json()["detail"]
    assert 0 < int(refused["Retry-After"]) <= 86_400
    # Joining a fetch begins none, and the quota of other people is their own.
    assert ask(client, "A", **two).status_code == 202
    assert ask(client, "D", **other).status_code == 202
    assert Fetch.objects.count() == 4


def test_stored_bars_are_served_after_the_quota_is_used_up(
    client: Client, settings: Any, make_dataset: Callable[..., Dataset]
) -> None:
    make_dataset(300)
    settings.API_FETCHES_PER_DAY = 1
    assert ask(client, "A").status_code == 202
    assert ask(client, "B").status_code == 429

    assert client.get("/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300").status_code == 200


def test_the_next_day_begins_with_an_empty_count(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_FETCHES_PER_DAY = 1
    fetch_queue.open_fetch(a_key(symbol="A"), via="api", by="ada")
    with pytest.raises(TooManyRequests) as caught:
        fetch_queue.open_fetch(a_key(symbol="B"), via="api", by="ada")
    tomorrow = timezone.now() + timedelta(seconds=caught.value.retry_after_s)
    monkeypatch.setattr("datasets.models.database.now", lambda: tomorrow)

    assert fetch_queue.open_fetch(a_key(symbol="B"), via="api", by="ada")[1]
    assert DailyFetches.objects.get().number == 1


def test_the_operators_commands_and_schedules_have_no_quota(db: None, settings: Any) -> None:
    settings.API_FETCHES_PER_DAY = 1

    for symbol in ["A", "B", "C"]:
        assert fetch_queue.open_fetch(a_key(symbol=symbol), via="command")[1]

    assert not DailyFetches.objects.exists()


def test_a_refused_fetch_is_not_counted(db: None, settings: Any) -> None:
    settings.API_FETCHES_PER_DAY = 5
    settings.MAX_QUEUED_PER_CLIENT = 1
    fetch_queue.open_fetch(a_key(symbol="A"), via="api", by="ada")

    with pytest.raises(TooManyRequests):
        fetch_queue.open_fetch(a_key(symbol="B"), via="api", by="ada")

    quota = fetch_quotas.quota_of("ada, token nightly")
    assert quota is not None
    assert (quota.n_begun, quota.limit, quota.is_used_up) == (1, 5, False)


@pytest.mark.django_db(transaction=True)
def test_simultaneous_requests_do_not_exceed_the_quota(settings: Any) -> None:
    settings.API_FETCHES_PER_DAY = 5
    outcomes: list[bool] = []

    def begin(number: int) -> None:
        try:
            fetch_queue.open_fetch(a_key(symbol=f"S{number}"), via="api", by="ada")
            outcomes.append(True)
        except TooManyRequests:
            outcomes.append(False)
        finally:
            connection.close()

    threads = [Thread(target=begin, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(outcomes) == [False] * 3 + [True] * 5
    assert Fetch.objects.count() == 5


def test_the_pages_show_a_person_their_quota(client: Client, db: None, settings: Any) -> None:
    settings.API_FETCHES_PER_DAY = 20
    client.force_login(User.objects.create_user("ada"))
    fetch_queue.open_fetch(a_key(symbol="A"), via="api", by="ada, token nightly")

    for address in ["/account/", "/fetches/"]:
        page = client.get(address).content.decode()
        assert "You have begun 1 of 20 fetches today." in page
        assert "starts again at 00:00 UTC" in page
