"""Who may do what, how often, and what a reply never tells."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from datasets import middleware
from datasets.errors import TooManyRequests
from datasets.models import ApiToken, Dataset, Fetch, database
from datasets.serving import clients, fetch_waits
from tests.support.statements import statements

ROOT = Path(__file__).parents[2]
MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
PASSWORD = "a password of the tests"


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nobody does the fetches here."""
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    forget_counts()
    yield
    forget_counts()


def forget_counts() -> None:
    caches["counts"].clear()
    for tally in (clients.reads, clients.fetches, clients.failed_sign_ins):
        tally.forget()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still, ten seconds into a minute."""
    clock = SimpleNamespace(now=1_700_000_050.0)
    monkeypatch.setattr(database, "shared_now", lambda: datetime.fromtimestamp(clock.now, UTC))
    return clock


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def make_token(user: User) -> Callable[..., str]:
    """Return a function that makes a token and returns its secret."""

    def make(scope: str = "read", **fields: Any) -> str:
        token = ApiToken(**({"name": "nightly", "user": user, "scope": scope} | fields))
        secret = token.renew()
        token.save()
        return secret

    return make


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def problem_of(response: Any) -> dict[str, Any]:
    assert response["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(response.content)
    assert found["status"] == response.status_code
    return found


# --- signing in --------------------------------------------------------------------------


def test_each_kind_of_credentials_opens_a_closed_api(
    client: Client, user: User, make_dataset: MakeDataset, make_token: Any, settings: Any
) -> None:
    settings.API_ACCESS = "login"
    make_dataset(300)

    assert client.get(OHLC).status_code == 401
    assert client.get(OHLC, headers=bearer(make_token())).status_code == 200
    assert client.get(OHLC, headers=basic("ada", PASSWORD)).status_code == 200
    client.force_login(user)
    assert client.get(OHLC).status_code == 200


@pytest.mark.parametrize("address", ["/", "/api/docs/", "/api/nothing", "/nothing", "/admin/"])
@pytest.mark.django_db
def test_with_access_by_login_no_page_is_shown_to_a_stranger(
    client: Client, settings: Any, address: str
) -> None:
    settings.API_ACCESS = "login"

    response = client.get(address)

    assert response.status_code in (302, 404)
    if response.status_code == 302:
        assert "/login/?next=" in response["Location"]


@pytest.mark.django_db
def test_what_a_load_balancer_asks_stays_open(client: Client, settings: Any) -> None:
    settings.API_ACCESS = "login"

    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json()["missing"] == ["worker"]
    assert client.get("/api/schema/").status_code == 401


def test_a_user_who_is_not_staff_signs_in_and_out(
    client: Client, user: User, settings: Any
) -> None:
    settings.API_ACCESS = "login"

    page = client.get("/", follow=True)
    assert "Sign in" in page.content.decode()
    signed_in = client.post("/login/?next=/", {"username": "ada", "password": PASSWORD})
    assert (signed_in.status_code, signed_in["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    client.post("/logout/")
    assert client.get("/").status_code == 302


def test_signing_in_leads_to_no_other_site(client: Client, user: User) -> None:
    response = client.post(
        "/login/?next=https://evil.example/", {"username": "ada", "password": PASSWORD}
    )

    assert response["Location"] == "/"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (bearer("tv_nothing"), "no such token"),
        (bearer(""), "no such token"),
        (basic("ada", "wrong"), "Invalid username/password"),
        (basic("a\0da", "wrong"), "Invalid username/password"),
        ({"Authorization": "Basic %%%"}, "base64"),
        ({"Authorization": "Basic"}, "No credentials"),
    ],
)
@pytest.mark.django_db
def test_wrong_credentials_are_refused_even_where_the_api_is_open(
    client: Client, headers: dict[str, str], said: str
) -> None:
    response = client.get("/api/tv/datasets", headers=headers)

    assert (response.status_code, problem_of(response)["code"]) == (401, "not_authenticated")
    assert said in problem_of(response)["detail"]
    assert response["WWW-Authenticate"] == 'Bearer realm="api", Basic realm="api"'


@pytest.mark.django_db
def test_a_browser_is_not_made_to_ask_for_a_password(client: Client, settings: Any) -> None:
    settings.API_ACCESS = "login"

    response = client.get(OHLC, headers={"Sec-Fetch-Mode": "cors"})

    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_token_ends_with_its_time_its_account_and_its_row(
    client: Client, user: User, make_token: Any
) -> None:
    secret = make_token()
    assert client.get("/api/tv/datasets", headers=bearer(secret)).status_code == 200

    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    expired = client.get("/api/tv/datasets", headers=bearer(secret))
    assert (expired.status_code, "expired on" in expired.content.decode()) == (401, True)

    ApiToken.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    User.objects.update(is_active=False)
    assert client.get("/api/tv/datasets", headers=bearer(secret)).status_code == 401

    User.objects.update(is_active=True)
    ApiToken.objects.all().delete()
    assert client.get("/api/tv/datasets", headers=bearer(secret)).status_code == 401


def test_only_a_hash_of_a_token_is_kept(make_token: Any) -> None:
    secret = make_token()

    row = ApiToken.objects.values().get()
    assert row["secret_hash"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(row)
    assert secret.startswith(row["prefix"])
    # 256 bits beyond what is shown of it would be 43 characters; 37 are still 222 bits.
    assert len(secret) - len(row["prefix"]) >= 37


def test_it_is_noted_when_a_token_was_last_used_but_not_at_each_use(
    client: Client, make_token: Any, make_dataset: MakeDataset
) -> None:
    make_dataset(300)
    secret = make_token()
    client.get(OHLC, headers=bearer(secret))

    assert ApiToken.objects.get().last_used_at is not None
    with statements() as seen:
        assert client.get(OHLC, headers=bearer(secret)).status_code == 200
        assert client.get("/api/tv/status", headers=bearer(secret)).status_code == 200
    assert seen
    assert not [one for one in seen if not one.startswith("SELECT")]


def test_a_password_is_checked_slowly_once_and_a_changed_one_counts_at_once(
    client: Client, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    check = User.check_password

    def noted(self: User, raw: str) -> bool:
        checked.append(raw)
        return check(self, raw)

    monkeypatch.setattr(User, "check_password", noted)

    for _ in range(3):
        assert client.get("/api/tv/datasets", headers=basic("ada", PASSWORD)).status_code == 200
    assert checked == [PASSWORD]

    user.set_password("another password")
    user.save()
    assert client.get("/api/tv/datasets", headers=basic("ada", PASSWORD)).status_code == 401


def test_a_session_needs_the_csrf_token_to_change_something(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    response = client.post("/api/tv/fetches", {"symbol": "X:Y"}, content_type="application/json")

    assert (response.status_code, problem_of(response)["code"]) == (403, "forbidden")
    assert not Fetch.objects.exists()


# --- scopes ------------------------------------------------------------------------------


@pytest.mark.parametrize("access", ["open", "login"])
@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("read", [200, 403, 403, 403, 403]),
        ("fetch", [200, 202, 204, 403, 403]),
        ("manage", [200, 202, 204, 202, 204]),
    ],
)
def test_a_token_goes_as_far_as_its_scope(
    client: Client, make_dataset: MakeDataset, make_token: Any, settings: Any, access: str, scope: str, statuses: list[int],
) -> None:  # fmt: skip
    settings.API_ACCESS = access
    dataset = make_dataset(300)
    queued = Fetch.objects.create(**dataset.key.as_dict() | {"symbol": "Q"}, requested_via="api")
    headers = bearer(make_token(scope))
    wanted = {"symbol": "BINANCE:ETHUSDT"}

    found = [
        client.get(OHLC, headers=headers),
        client.post("/api/tv/fetches", wanted, content_type="application/json", headers=headers),
        client.delete(f"/api/tv/fetches/{queued.pk}", headers=headers),
        client.post(f"/api/tv/datasets/{dataset.pk}/refresh", headers=headers),
        client.delete(f"/api/tv/datasets/{dataset.pk}", headers=headers),
    ]

    assert [response.status_code for response in found] == statuses
    for response in found:
        if response.status_code == 403:
            assert problem_of(response)["code"] == "forbidden"


def test_a_token_for_reading_begins_no_fetch(
    client: Client, make_dataset: MakeDataset, make_token: Any
) -> None:
    make_dataset(300)
    headers = bearer(make_token("read"))

    for query in ("&use_cache=false", "&max_age=1", "1"):
        response = client.get(f"{OHLC}{query}&wait=0", headers=headers)
        assert (response.status_code, problem_of(response)["code"]) == (403, "forbidden")
    assert not Fetch.objects.exists()


def test_a_token_for_reading_gets_a_stale_dataset_and_joins_a_running_fetch(
    client: Client, make_dataset: MakeDataset, make_token: Any
) -> None:
    make_dataset(300)
    Dataset.objects.update(fetched_at=datetime.now(UTC) - timedelta(hours=1))
    headers = bearer(make_token("read"))

    stale = client.get(f"{OHLC}&max_age=600&max_stale=86400", headers=headers)
    assert (stale.status_code, json.loads(stale.content)["stale"]) == (200, True)
    assert not Fetch.objects.exists()

    begun = client.get(f"{OHLC}&use_cache=false&wait=0")
    joined = client.get(f"{OHLC}&use_cache=false&wait=0", headers=headers)
    assert joined.status_code == 202
    assert joined["Location"] == begun["Location"]


def test_a_fetch_names_who_asked(client: Client, make_token: Any) -> None:
    client.get("/api/tv/ohlc?symbol=X:A&wait=0", headers=bearer(make_token("fetch")))
    client.get("/api/tv/ohlc?symbol=X:B&wait=0", headers=basic("ada", PASSWORD))
    client.get("/api/tv/ohlc?symbol=X:C&wait=0")

    names = Fetch.objects.order_by("symbol").values_list("requested_by", flat=True)
    assert list(names) == ["ada, token nightly", "ada", "127.0.0.1"]


# --- tokens in the admin -----------------------------------------------------------------


@pytest.fixture
def superuser(client: Client, db: None) -> User:
    superuser = User.objects.create_superuser("root")
    client.force_login(superuser)
    return superuser


def a_form(user: User, **changes: str) -> dict[str, str]:
    return {
        "name": "nightly", "user": str(user.pk), "scope": "fetch", "expires_at_0": "2099-01-01", "expires_at_1": "00:00:00",
    } | changes  # fmt: skip


def test_the_admin_shows_a_secret_once_and_never_again(client: Client, superuser: User) -> None:
    made = client.post("/admin/datasets/apitoken/add/", a_form(superuser))

    found = re.search(r'id="token-secret">(tv_[\w-]{43})<', made.content.decode())
    assert found is not None
    secret = found[1]
    assert "no-store" in made["Cache-Control"]
    token = ApiToken.objects.get()
    assert client.get("/api/tv/datasets", headers=bearer(secret)).status_code == 200
    for address in ("", f"{token.pk}/change/", f"{token.pk}/history/"):
        page = client.get(f"/admin/datasets/apitoken/{address}").content.decode()
        assert secret[:9] in page
        assert secret not in page
    assert secret not in str(LogEntry.objects.values())
    assert secret not in str(client.cookies)


def test_a_token_can_be_ended_in_the_admin_and_not_widened(
    client: Client, superuser: User, make_token: Any
) -> None:
    secret = make_token("read")
    address = f"/admin/datasets/apitoken/{ApiToken.objects.get().pk}/change/"

    client.post(address, a_form(superuser, scope="manage", expires_at_0="2001-01-01"))

    token = ApiToken.objects.get()
    assert (token.scope, token.user.username, token.is_expired) == ("read", "ada", True)
    assert client.get("/api/tv/datasets", headers=bearer(secret)).status_code == 401


def test_a_new_token_must_have_time_left(client: Client, superuser: User) -> None:
    page = client.post(
        "/admin/datasets/apitoken/add/", a_form(superuser, expires_at_0="2001-01-01")
    )

    assert "is in the past" in page.content.decode()
    assert not ApiToken.objects.exists()


def test_staff_makes_tokens_in_its_own_name_only(
    client: Client, user: User, make_token: Any
) -> None:
    other = User.objects.create_user("bob")
    make_token(user=other)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__model="apitoken"))
    client.force_login(user)

    refused = client.post("/admin/datasets/apitoken/add/", a_form(other))
    client.post("/admin/datasets/apitoken/add/", a_form(user))

    assert "not one of the available choices" in refused.content.decode()
    assert list(ApiToken.objects.values_list("user__username", flat=True)) == ["ada", "bob"]
    assert "bob" not in client.get("/admin/datasets/apitoken/").content.decode()


@pytest.mark.parametrize("names", [[], ["fetch_dataset"], ["fetch_dataset", "invalidate_dataset"]])
def test_staff_makes_no_token_that_goes_further_than_they_may(
    client: Client, user: User, names: list[str]
) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__model="apitoken")
        | Permission.objects.filter(codename__in=names)
    )
    client.force_login(user)

    client.post("/admin/datasets/apitoken/add/", a_form(user, scope="manage"))

    assert ApiToken.objects.exists() == (len(names) == 2)


# --- how often ---------------------------------------------------------------------------


def test_one_read_too_many_is_refused_until_the_next_minute(
    client: Client, make_dataset: MakeDataset, settings: Any, clock: SimpleNamespace
) -> None:
    settings.API_READS_PER_MINUTE = 3
    make_dataset(300)

    assert [client.get(OHLC).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = client.get(OHLC)
    assert problem_of(refused)["code"] == "too_many_requests"
    assert problem_of(refused)["retryable"] is True
    assert refused["Retry-After"] == "50"
    assert client.get(OHLC, REMOTE_ADDR="10.0.0.2").status_code == 200
    clock.now += 50
    assert client.get(OHLC).status_code == 200


def test_one_fetch_too_many_is_refused_and_cached_bars_are_still_served(
    client: Client, make_dataset: MakeDataset, settings: Any, clock: SimpleNamespace
) -> None:
    settings.API_FETCHES_PER_MINUTE = 4
    make_dataset(300)
    many = {"symbols": ["X:A", "X:B", "X:C"]}

    assert client.get("/api/tv/ohlc?symbol=X:Y&wait=0").status_code == 202
    assert client.get("/api/tv/ohlc?symbol=X:Y&wait=0").status_code == 202  # joined
    assert client.post("/api/tv/fetches", many, content_type="application/json").status_code == 202
    refused = client.get("/api/tv/ohlc?symbol=X:Z&wait=0")
    assert (refused.status_code, problem_of(refused)["code"]) == (429, "too_many_requests")
    more = {"symbols": ["X:D"]}
    assert client.post("/api/tv/fetches", more, content_type="application/json").status_code == 429
    assert client.get(OHLC).status_code == 200
    assert Fetch.objects.count() == 4


def test_too_many_wrong_passwords_are_not_even_looked_at(
    client: Client, user: User, make_token: Any, settings: Any, clock: SimpleNamespace
) -> None:
    settings.API_SIGN_INS_PER_MINUTE = 3
    address = "/api/tv/datasets"
    secret = make_token()

    statuses = [client.get(address, headers=basic("ada", "wrong")).status_code for _ in range(5)]

    assert statuses == [401, 401, 401, 429, 429]
    assert client.get(address, headers=basic("ada", PASSWORD)).status_code == 429
    assert client.get(address, headers=bearer("tv_wrong")).status_code == 429
    # What cannot be guessed, and what was right before, still passes.
    assert client.get(address, headers=bearer(secret)).status_code == 200
    assert client.get(address).status_code == 200
    clock.now += 60
    assert client.get(address, headers=basic("ada", PASSWORD)).status_code == 200


@pytest.mark.parametrize("address", ["/login/", "/admin/login/"])
def test_the_sign_in_pages_count_too(
    client: Client, user: User, settings: Any, clock: SimpleNamespace, address: str
) -> None:
    settings.API_SIGN_INS_PER_MINUTE = 2
    User.objects.update(is_staff=True)
    wrong, right = ({"username": "ada", "password": word} for word in ("wrong", PASSWORD))

    for _ in range(2):
        assert "lease enter " in client.post(address, wrong).content.decode()
    assert "try again in 50 s" in client.post(address, right).content.decode()
    clock.now += 60
    assert client.post(address, right).status_code == 302


def test_processes_count_together(settings: Any, clock: SimpleNamespace) -> None:
    settings.API_FETCHES_PER_MINUTE = 4
    processes = [clients.Tally("fetch", "API_FETCHES_PER_MINUTE") for _ in range(2)]

    for tally in processes * 2:
        tally.count("ada")

    for tally in processes:
        with pytest.raises(TooManyRequests):
            tally.count("ada")
        tally.count("bob")


def test_reads_are_told_in_steps_so_that_few_are_slow(
    settings: Any, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_READS_PER_MINUTE = 600
    told: list[int] = []
    add = clients._add_for_all

    def noted(key: str, number: int) -> Any:
        told.append(number)
        return add(key, number)

    monkeypatch.setattr(clients, "_add_for_all", noted)
    processes = [clients.Tally("ask", "API_READS_PER_MINUTE") for _ in range(2)]

    n_allowed = 0
    for index in range(1300):
        try:
            processes[index % 2].count("ada")
            n_allowed += 1
        except TooManyRequests:
            pass
        # A thread of its own tells; this waits for what it has to do.
        clients._teller.submit(lambda: None).result()

    assert 600 <= n_allowed <= 610
    assert set(told) == {10}


def test_without_a_place_for_shared_counts_each_process_counts_for_itself(
    settings: Any, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_FETCHES_PER_MINUTE = 2

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(caches["counts"]), "add", fail)
    tally = clients.Tally("fetch", "API_FETCHES_PER_MINUTE")

    for _ in range(2):
        tally.count("ada")
    with pytest.raises(TooManyRequests):
        tally.count("ada")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "1.2.3.4", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "1.2.3.4", "1.2.3.4"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
        (2, "1.2.3.4", "1.2.3.4"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "::ffff:1.2.3.4", "1.2.3.4"),
        (1, "not:an:address", "not:an:address"),
    ],
)
def test_a_client_cannot_choose_its_address(
    rf: Any, settings: Any, proxies: int, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    request = rf.get("/", REMOTE_ADDR="10.0.0.1", headers=headers)

    assert clients.address_of(request) == expected


def test_a_cached_read_is_one_query_with_the_limits_on(
    client: Client, make_dataset: MakeDataset, settings: Any
) -> None:
    settings.API_READS_PER_MINUTE = settings.API_FETCHES_PER_MINUTE = 6000
    make_dataset(300)
    client.get(OHLC)

    with statements() as seen:
        assert client.get(OHLC).status_code == 200

    assert len(seen) == 1


# --- places for waiting ------------------------------------------------------------------


def test_when_all_places_for_waiting_are_taken_nobody_waits_and_readers_are_served(
    client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300)
    taken = 0
    while fetch_waits._waiting.acquire(blocking=False):
        taken += 1
    try:
        assert client.get("/api/tv/ohlc?symbol=X:Y&wait=60").status_code == 202
        assert client.get(OHLC).status_code == 200
    finally:
        for _ in range(taken):
            fetch_waits._waiting.release()

    assert taken == fetch_waits.MAX_WAITING


def test_fewer_requests_may_wait_than_there_are_threads(settings: Any) -> None:
    assert 0 < fetch_waits.MAX_WAITING <= settings.WEB_THREADS // 4


# --- what a browser may load, and what a reply never tells ------------------------------


@pytest.mark.parametrize(
    "address", ["/", "/admin/", "/admin/login/", "/login/", "/api/docs/", "/x"]
)
def test_a_page_may_load_what_this_service_serves_and_has_no_inline_script(
    admin_client: Client, address: str
) -> None:
    response = admin_client.get(address, follow=True)

    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy["script-src"] == policy["default-src"] == "'self'"
    assert "unsafe" not in response["Content-Security-Policy"]
    page = response.content.decode()
    # A JSON data block does not run.
    assert not re.search(r"<script(?![^>]*(\bsrc=|application/json))[^>]*>\s*\S", page)
    assert not re.search(r"<style|\son\w+=|\sstyle=", page)
    assert not re.search(r"(src|href)=\"(https?:)?//", page)


def test_the_one_inline_style_that_is_let_in_is_the_chart_librarys() -> None:
    package = ROOT / "node_modules" / "lightweight-charts" / "dist"
    if not package.is_dir():
        pytest.skip("the chart library is not installed")
    for path in package.glob("*.standalone.production.*js"):
        rules = re.findall(r'createElement\("style"\),[^"]*innerText="([^"]*)"', path.read_text())
        digests = [hashlib.sha256(text.encode()).digest() for text in rules]
        hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
        assert hashes == [middleware.CHART_LOGO_STYLE]


@pytest.mark.django_db
def test_a_reply_that_is_no_page_may_load_nothing(client: Client) -> None:
    response = client.get("/api/tv/datasets")

    assert response["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("address", ["/api/tv/status", "/"])
@pytest.mark.django_db
def test_an_unforeseen_error_tells_nothing_of_itself(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("the secret is /srv/hunter2")

    monkeypatch.setattr("datasets.serving.status.describe", fail)
    monkeypatch.setattr("datasets.views.chart_page.render", fail)
    client.raise_request_exception = False

    with caplog.at_level(logging.ERROR):
        response = client.get(address)

    assert response.status_code == 500
    text = response.content.decode()
    for told in ("hunter2", "RuntimeError", "Traceback", str(ROOT)):
        assert told not in text
    assert "hunter2" in caplog.text
    if address.startswith("/api/"):
        assert problem_of(response)["code"] == "internal_error"
    else:
        assert "Internal error" in text


@pytest.mark.django_db
def test_a_page_that_is_none_says_so_plainly(client: Client) -> None:
    client.force_login(User.objects.create_user("ann"))

    response = client.get("/nothing/here")

    assert response.status_code == 404
    text = response.content.decode()
    assert "There is no page at this address." in text
    assert 'aria-label="Pages"' in text
    assert "</span>ann</a>" in text


@pytest.mark.django_db
def test_a_refused_page_has_the_header_and_one_line_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.post("/status/")

    assert response.status_code == 403
    assert 'aria-label="Pages"' in response.content.decode()
    record = next(each for each in caplog.records if each.name == "django.request")
    assert "/status/" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_every_address_below_api_answers_with_a_problem(method: str, db: None) -> None:
    client = Client(enforce_csrf_checks=True)

    response = getattr(client, method)("/api/tv/nothing")

    assert (response.status_code, problem_of(response)["code"]) == (404, "not_found")


def test_a_form_from_elsewhere_is_refused_plainly(db: None) -> None:
    response = Client(enforce_csrf_checks=True).post("/login/", {"username": "ada"})

    assert response.status_code == 403
    assert "Reload the page" in response.content.decode()


@pytest.mark.django_db
def test_an_unknown_host_is_refused_without_telling_the_known_ones(client: Client) -> None:
    response = client.get("/api/tv/status", headers={"Host": "evil.example"})

    assert (response.status_code, problem_of(response)["detail"]) == (
        400,
        "The request is malformed.",
    )
