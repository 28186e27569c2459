"""Reads of kept bars: the same by each way of asking, and trusted for a moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from datasets.models import ApiToken, Dataset
from datasets.serving import clients, trust
from datasets.serving.reply_bodies import bodies
from datasets.storage import FolderStore
from tests.support.statements import statements

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300"
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(autouse=True)
def nothing_rendered() -> None:
    bodies.rendered.clear()
    trust.distrust_all()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[float]:
    """Return a clock of the trust, in seconds, with the default setting of 250 ms."""
    settings.WEB_TRUST_MS = 250
    now = [100.0]
    monkeypatch.setattr("datasets.serving.trust.monotonic", lambda: now[0])
    return now


@pytest.fixture
def token(django_user_model: type[User]) -> tuple[ApiToken, dict[str, str]]:
    """Return a token for reading that has just been used, and its header."""
    made = ApiToken(
        name="notebook",
        user=django_user_model.objects.create(username="ada"),
        last_used_at=timezone.now(),
    )
    secret = made.renew()
    made.save()
    return made, {"Authorization": f"Bearer {secret}"}


def no_look_at_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(name: str) -> Callable[..., None]:
        def fail(*arguments: Any, **named: Any) -> None:
            raise AssertionError(f"the file system was used: {name}{arguments}")

        return fail

    # Before the others: a thread's first use of the cache creates its folder.
    monkeypatch.setattr(caches["counts"], "add", refusing("counts.add"))
    for name in ("stat", "open", "scandir"):
        monkeypatch.setattr(os, name, refusing(name))


@pytest.mark.parametrize("headers", [{}, GZIP, {"Accept": "text/csv"}], ids=["plain", "gzip", "csv"])  # fmt: skip
@pytest.mark.parametrize("query", ["", "&format=arrow", "&fields=time,close", "&max_age=1000000000"])  # fmt: skip
def test_a_hot_read_gives_the_same_reply_without_database_and_disk(
    client: Client,
    make_dataset: MakeDataset,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    headers: dict[str, str],
) -> None:
    make_dataset(300)
    first = client.get(OHLC + query, headers=headers)
    with monkeypatch.context() as patch, statements() as seen:
        no_look_at_files(patch)
        hot = client.get(OHLC + query, headers=headers)
        unchanged = client.get(OHLC + query, headers=headers | {"If-None-Match": first["ETag"]})

    assert seen == []
    assert (hot.status_code, unchanged.status_code) == (200, 304)
    assert hot.content == first.content
    # Each request has an id of its own.
    assert hot.headers.pop("X-Request-Id") != first.headers.pop("X-Request-Id")
    assert hot.headers == first.headers


def test_a_hot_read_with_a_token_uses_no_database(
    client: Client,
    make_dataset: MakeDataset,
    clock: list[float],
    settings: Any,
    token: tuple[ApiToken, dict[str, str]],
) -> None:
    settings.API_ACCESS = "login"
    make_dataset(300)
    assert client.get(OHLC, headers=token[1]).status_code == 200

    with statements() as seen:
        assert client.get(OHLC, headers=token[1]).status_code == 200

    assert seen == []


def test_after_the_time_of_trust_the_row_and_the_file_are_looked_at_again(
    client: Client, make_dataset: MakeDataset, store: FolderStore, clock: list[float]
) -> None:
    dataset = make_dataset(300)
    client.get(OHLC)
    (store.folder / dataset.path).unlink()

    clock[0] += 0.24
    trusted = client.get(OHLC)
    clock[0] += 0.02
    checked = client.get(f"{OHLC}&wait=0")

    assert (trusted.status_code, checked.status_code) == (200, 202)


@pytest.mark.parametrize("trust_ms", [0, 250])
def test_what_another_process_changes_is_seen_at_once_only_without_trust(
    client: Client, make_dataset: MakeDataset, clock: list[float], settings: Any, trust_ms: int
) -> None:
    settings.WEB_TRUST_MS = trust_ms
    make_dataset(300)
    client.get(OHLC)

    Dataset.objects.update(state=Dataset.State.INVALIDATED)

    assert client.get(f"{OHLC}&wait=0").status_code == (200 if trust_ms else 202)


def test_what_this_process_changes_is_seen_at_once(
    client: Client, admin_client: Client, make_dataset: MakeDataset, clock: list[float]
) -> None:
    dataset = make_dataset(300)
    client.get(OHLC)

    assert admin_client.delete(f"/api/tv/datasets/{dataset.pk}").status_code == 204

    assert client.get(f"{OHLC}&wait=0").status_code == 202


def test_a_check_that_hangs_holds_one_thread_and_the_others_get_the_old_value(
    clock: list[float],
) -> None:
    values: trust.Trusted[str, str] = trust.Trusted()
    values.get("key", lambda: "old")
    clock[0] += 1.0

    def hang() -> str:
        assert values.get("key", lambda: "of another thread") == "old"
        clock[0] += 60.0
        assert values.get("key", lambda: "of another thread") == "of another thread"
        return "new"

    assert values.get("key", hang) == "new"


def test_a_change_during_a_check_is_not_trusted_away(clock: list[float]) -> None:
    trusted: trust.Trusted[str, str] = trust.Trusted()

    def check() -> str:
        trust.distrust_all()
        return "old"

    trusted.get("key", check)

    assert trusted.get("key", lambda: "new") == "new"


@pytest.mark.parametrize(
    ("query", "ttl_s", "is_pinned", "status"),
    [
        ("&max_age=99", 0, False, 200),
        ("&max_age=99", 200, True, 200),
        ("", 99, False, 200),
        ("", 99, True, 200),
        ("&max_age=10", 0, False, 202),
    ],
)
def test_a_trusted_dataset_is_fresh_to_the_second(
    make_dataset: MakeDataset,
    client: Client,
    settings: Any,
    clock: list[float],
    query: str,
    ttl_s: int,
    is_pinned: bool,
    status: int,
) -> None:
    make_dataset(300)
    settings.TV_CACHE_TTL_S = ttl_s
    Dataset.objects.update(fetched_at=timezone.now() - timedelta(seconds=80), is_pinned=is_pinned)

    assert client.get(f"{OHLC}{query}&wait=0").status_code == status


@pytest.mark.parametrize(
    ("setting", "value"), [("API_ACCESS", "login"), ("TV_ENABLED", False), ("TV_SOURCE", "tradingview")]
)  # fmt: skip
def test_a_trusted_dataset_is_not_served_where_the_settings_forbid_it(
    make_dataset: MakeDataset,
    client: Client,
    settings: Any,
    clock: list[float],
    setting: str,
    value: Any,
) -> None:
    make_dataset(300)
    assert client.get(OHLC).status_code == 200

    setattr(settings, setting, value)

    assert client.get(f"{OHLC}&wait=0").status_code != 200


def test_one_read_too_many_is_refused_also_when_it_is_hot(
    make_dataset: MakeDataset, client: Client, settings: Any, clock: list[float]
) -> None:
    make_dataset(300)
    settings.API_READS_PER_MINUTE = 3

    found = [client.get(OHLC, REMOTE_ADDR="192.0.2.77").status_code for _ in range(5)]

    assert found == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"last_used_at": None}, 200),
        ({"last_used_at": timezone.now() - timedelta(hours=1, seconds=1)}, 200),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, 401),
        ({"secret_hash": "of another"}, 401),
    ],
    ids=["not yet used", "not used for an hour", "expired", "unknown"],
)
def test_a_token_is_looked_up(
    make_dataset: MakeDataset,
    client: Client,
    token: tuple[ApiToken, dict[str, str]],
    changes: dict[str, Any],
    status: int,
) -> None:
    make_dataset(300)
    ApiToken.objects.update(**changes)

    assert client.get(OHLC, headers=token[1]).status_code == status


def test_the_use_of_a_trusted_token_is_noted_once(
    make_dataset: MakeDataset,
    client: Client,
    clock: list[float],
    token: tuple[ApiToken, dict[str, str]],
) -> None:
    ApiToken.objects.update(last_used_at=None)
    make_dataset(300)
    client.get(OHLC, headers=token[1])

    with statements() as seen:
        client.get(OHLC, headers=token[1])

    assert seen == []


def test_a_token_of_an_account_that_is_turned_off_is_refused_at_once(
    make_dataset: MakeDataset, client: Client, token: tuple[ApiToken, dict[str, str]]
) -> None:
    make_dataset(300)
    assert [client.get(OHLC, headers=token[1]).status_code for _ in range(2)] == [200, 200]

    token[0].user.is_active = False
    token[0].user.save()

    assert client.get(OHLC, headers=token[1]).status_code == 401


def test_reads_with_a_token_are_counted_for_the_token(
    make_dataset: MakeDataset,
    client: Client,
    settings: Any,
    token: tuple[ApiToken, dict[str, str]],
) -> None:
    make_dataset(300)
    settings.API_READS_PER_MINUTE = 3
    clients.reads.forget()

    found = [client.get(OHLC, headers=token[1]).status_code for _ in range(4)]

    assert found == [200, 200, 200, 429]
    assert client.get(OHLC, REMOTE_ADDR="192.0.2.78").status_code == 200


@pytest.mark.parametrize("access", ["open", "login"])
def test_the_probe_of_the_process_uses_no_database(
    client: Client, settings: Any, access: str
) -> None:
    settings.API_ACCESS = access
    client.cookies[settings.SESSION_COOKIE_NAME] = "a session"

    # The test has no access to a database.
    assert client.get("/healthz").status_code == 200


def test_a_database_that_is_away_leaves_readers_the_old_value_for_a_minute(
    clock: list[float],
) -> None:
    values: trust.Trusted[str, str] = trust.Trusted()
    values.get("key", lambda: "old")

    def fail() -> str:
        raise OperationalError("the connection was refused")

    clock[0] += 59.0
    assert values.get("key", fail) == "old"
    clock[0] += 2.0
    with pytest.raises(OperationalError):
        values.get("key", fail)
