"""The short way to cached bars gives what the long way gives, or leaves the request to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from datasets.handover import HandedOver, never_waiting
from datasets.models import ApiToken, Dataset, Fetch
from datasets.serving import bodies, cached_reads, clients, usage
from datasets.serving.bars_request import BarsRequest
from datasets.storage import Store
from tests.support.statements import statements

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300"
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(autouse=True)
def nothing_rendered() -> None:
    bodies.rendered.clear()
    usage._hits._counts.clear()


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets `short` for each request answered the short way, else `long`."""
    taken: list[str] = []
    find_ready = cached_reads.find_ready

    def watched(request: BarsRequest, *, is_gzip: bool) -> cached_reads.Ready | None:
        found = find_ready(request, is_gzip=is_gzip)
        taken.append("short" if found else "long")
        return found

    monkeypatch.setattr("datasets.serving.cached_reads.find_ready", watched)
    return taken


def the_long_way(address: str, headers: dict[str, str]) -> Any:
    """Ask as somebody who may have signed in; who asks is then looked into."""
    return Client().get(address, headers=headers | {"Cookie": "sessionid=unknown"})


def shown(response: Any) -> tuple[int, bytes, dict[str, str]]:
    headers = dict(response.headers)
    # Who asked was looked into, so the reply hangs on it.
    headers["Vary"] = headers["Vary"].removesuffix(", Cookie")
    # The framework says it with everything; it means something with a 405.
    headers.pop("Allow", None)
    return response.status_code, response.content, headers


@pytest.mark.parametrize(
    "headers", [{}, GZIP, {"Accept": "text/csv"}], ids=["plain", "gzip", "csv"]
)
@pytest.mark.parametrize(
    "query", ["", "&format=arrow", "&fields=time,close", "&start=2025-01-03&end=2025-01-04", "&max_age=1000000000"]
)  # fmt: skip
def test_both_ways_give_the_same_reply(
    client: Client, make_dataset: MakeDataset, ways: list[str], query: str, headers: dict[str, str]
) -> None:
    make_dataset(300)
    client.get(OHLC + query, headers=headers)

    short = client.get(OHLC + query, headers=headers)
    known = headers | {"If-None-Match": short["ETag"]}

    assert shown(short) == shown(the_long_way(OHLC + query, headers))
    assert shown(client.get(OHLC + query, headers=known)) == shown(
        the_long_way(OHLC + query, known)
    )
    assert ways == ["long", "short", "short"]


def age(dataset: Dataset, **changes: Any) -> None:
    Dataset.objects.update(fetched_at=timezone.now() - timedelta(seconds=100), **changes)


def invalidate(dataset: Dataset, store: Store) -> None:
    Dataset.objects.update(state=Dataset.State.INVALIDATED)


def delete(dataset: Dataset, store: Store) -> None:
    (store.folder / dataset.path).unlink()


def touch(dataset: Dataset, store: Store) -> None:
    (store.folder / dataset.path).touch()


def put_out_of_reach(dataset: Dataset, store: Store) -> None:
    delete(dataset, store)
    (store.folder / dataset.path).symlink_to(store.folder / dataset.path)


@pytest.mark.parametrize("change", [invalidate, delete, touch, put_out_of_reach])
def test_a_dataset_that_is_no_longer_as_it_was_takes_the_long_way(
    make_dataset: MakeDataset,
    store: Store,
    client: Client,
    ways: list[str],
    change: Callable[[Dataset, Store], None],
) -> None:
    dataset = make_dataset(300)
    client.get(OHLC)

    change(dataset, store)
    client.get(OHLC + "&wait=0")

    assert ways == ["long", "long"]


@pytest.mark.parametrize(
    ("query", "ttl_s", "is_pinned", "way"),
    [
        ("&max_age=50", 0, False, "long"),
        ("&max_age=200", 0, False, "short"),
        ("&max_age=50", 200, True, "long"),
        ("", 50, False, "long"),
        ("", 200, False, "short"),
        ("", 50, True, "short"),
        ("&use_cache=false", 0, False, "long"),
    ],
)
def test_only_what_is_fresh_takes_the_short_way(
    make_dataset: MakeDataset,
    client: Client,
    settings: Any,
    ways: list[str],
    query: str,
    ttl_s: int,
    is_pinned: bool,
    way: str,
) -> None:
    dataset = make_dataset(300)
    client.get(OHLC)
    age(dataset, is_pinned=is_pinned)
    settings.TV_CACHE_TTL_S = ttl_s

    client.get(f"{OHLC}{query}&wait=0")

    assert ways == ["long", way]


@pytest.mark.parametrize(
    ("setting", "value"), [("API_ACCESS", "login"), ("TV_ENABLED", False), ("TV_SOURCE", "tradingview")]
)  # fmt: skip
def test_the_short_way_is_closed_where_the_settings_say_so(
    make_dataset: MakeDataset, client: Client, settings: Any, ways: list[str], setting: str, value: Any
) -> None:  # fmt: skip
    make_dataset(300)
    assert client.get(OHLC).status_code == 200

    setattr(settings, setting, value)
    response = client.get(OHLC + "&wait=0")

    assert response.status_code != 200
    assert "short" not in ways


def test_one_read_too_many_is_refused_on_the_short_way_too(
    make_dataset: MakeDataset, client: Client, settings: Any
) -> None:
    make_dataset(300)
    settings.API_READS_PER_MINUTE = 3

    found = [client.get(OHLC, REMOTE_ADDR="192.0.2.77").status_code for _ in range(5)]

    assert found == [200, 200, 200, 429, 429]


# --- with a token ------------------------------------------------------------------------


@pytest.fixture
def token(django_user_model: type[User]) -> tuple[ApiToken, dict[str, str]]:
    """Return a token for reading that has been used just now, and the header that shows it."""
    made = ApiToken(
        name="notebook",
        user=django_user_model.objects.create(username="ada"),
        last_used_at=timezone.now(),
    )
    secret = made.renew()
    made.save()
    return made, {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("access", ["open", "login"])
def test_both_ways_give_a_token_the_same_reply(
    make_dataset: MakeDataset,
    client: Client,
    settings: Any,
    ways: list[str],
    token: tuple[ApiToken, dict[str, str]],
    access: str,
) -> None:
    settings.API_ACCESS = access
    make_dataset(300)
    headers = GZIP | token[1]
    the_long_way(OHLC, headers)

    with statements() as seen:
        short = client.get(OHLC, headers=headers)
    known = headers | {"If-None-Match": short["ETag"]}

    assert short.status_code == 200
    assert shown(short) == shown(the_long_way(OHLC, headers))
    assert shown(client.get(OHLC, headers=known)) == shown(the_long_way(OHLC, known))
    assert ways == ["short", "short"]
    assert [one.partition(" ")[0] for one in seen] == ["SELECT", "SELECT"]


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
def test_a_token_that_has_to_be_looked_into_takes_the_long_way(
    make_dataset: MakeDataset,
    client: Client,
    ways: list[str],
    token: tuple[ApiToken, dict[str, str]],
    changes: dict[str, Any],
    status: int,
) -> None:
    make_dataset(300)
    client.get(OHLC)
    ways.clear()
    ApiToken.objects.update(**changes)

    assert client.get(OHLC, headers=token[1]).status_code == status

    assert ways == []


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
    ways: list[str],
    token: tuple[ApiToken, dict[str, str]],
) -> None:
    make_dataset(300)
    client.get(OHLC)
    ways.clear()
    settings.API_READS_PER_MINUTE = 3
    clients.reads.forget()

    found = [client.get(OHLC, headers=token[1]).status_code for _ in range(4)]

    assert found == [200, 200, 200, 429]
    assert ways == ["short"] * 4
    assert client.get(OHLC, REMOTE_ADDR="192.0.2.78").status_code == 200


@pytest.mark.parametrize("header", ["Basic YWRhOmFkYQ==", "Digest x", "Bearer", "tv_x"])
def test_other_credentials_are_for_the_long_way(
    make_dataset: MakeDataset, client: Client, ways: list[str], header: str
) -> None:
    make_dataset(300)
    client.get(OHLC)
    ways.clear()

    client.get(OHLC, headers={"Authorization": header})

    assert ways == []


# --- where nothing may wait --------------------------------------------------------------


def test_what_is_not_ready_is_handed_over(make_dataset: MakeDataset, client: Client) -> None:
    make_dataset(300)
    usage.flush()

    for query in ("", "&n_bars=nonsense", "&max_age=0&wait=0"):
        with never_waiting(), pytest.raises(HandedOver):
            client.get(OHLC + query)

    assert not Fetch.objects.exists()


def test_what_is_ready_is_answered_and_nothing_is_written(
    make_dataset: MakeDataset, client: Client
) -> None:
    make_dataset(300)
    elsewhere = client.get(OHLC)
    usage.flush()

    with never_waiting(), statements() as seen:
        response = client.get(OHLC)

    assert shown(response) == shown(elsewhere)
    assert [one.partition(" ")[0] for one in seen] == ["SELECT"]


def test_the_read_that_would_tell_other_processes_of_a_client_is_handed_over(
    make_dataset: MakeDataset, client: Client, settings: Any
) -> None:
    settings.API_READS_PER_MINUTE = 180
    make_dataset(300)
    client.get(OHLC)
    usage.flush()
    clients.reads.forget()

    with never_waiting():
        # Every third read is told with such a limit.
        found = [client.get(OHLC).status_code for _ in range(2)]
        with pytest.raises(HandedOver):
            client.get(OHLC)
    found.append(client.get(OHLC).status_code)
    with never_waiting():
        found.append(client.get(OHLC).status_code)

    assert found == [200] * 4


def test_the_server_knows_the_addresses_that_do_not_queue_behind_pages(settings: Any) -> None:
    assert [reverse("api-ohlc-list"), reverse("healthz")] == settings.ANSWERED_AT_ONCE
    assert [reverse("readyz")] == settings.ANSWERED_APART


@pytest.mark.parametrize("access", ["open", "login"])
def test_the_process_says_that_it_lives_without_its_database(
    client: Client, settings: Any, access: str
) -> None:
    settings.API_ACCESS = access
    client.cookies[settings.SESSION_COOKIE_NAME] = "a session"

    # No database may be asked in this test.
    with never_waiting():
        assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(("wait", "said"), [("0.1", 1), ("0", 0)])
def test_a_request_that_waits_for_a_fetch_says_so_first(
    client: Client, monkeypatch: pytest.MonkeyPatch, wait: str, said: int
) -> None:
    calls: list[None] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", lambda pk: None)
    monkeypatch.setattr("datasets.handover._callbacks", [lambda: calls.append(None)])

    assert client.get(f"{OHLC}&wait={wait}").status_code == 202

    assert len(calls) == said
