"""Every route and method of the service, with every kind of caller, against one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from datasets.api import endpoints
from datasets.api.access import READS, Scopes
from datasets.archive.conversion import convert_datasets
from datasets.models import ApiToken, Dataset, Fetch, PriceAlert, Watchlist
from datasets.serving.permissions import Caller, Need, Scope

MakeDataset = Callable[..., Dataset]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]

# Who is let in, from the widest to the narrowest. The callers are below.
EVERYONE = {
    "stranger",
    "read",
    "fetch",
    "manage",
    "person",
    "staff",
    "may_fetch",
    "may_invalidate",
    "may_delete",
    "superuser",
}
SIGNED_IN = EVERYONE - {"stranger"}
# The narrowest and the widest of the tokens and of the people.
ENDS = {"stranger", "read", "manage", "superuser"}
MANAGERS = {"manage", "superuser"}
# Of pages: a token is no credential there.
PEOPLE = {"person", "staff", "may_fetch", "may_invalidate", "may_delete", "superuser"}

# `(who, who with API_ACCESS=login)` for each way of access. "out" is everyone who is left.
ALWAYS = (EVERYONE, EVERYONE)
PAGE = (EVERYONE, PEOPLE)
READ = (EVERYONE, SIGNED_IN)
FETCH = (EVERYONE - {"read"}, SIGNED_IN - {"read"})
REFRESH = (MANAGERS | {"may_fetch"}, MANAGERS | {"may_fetch"})
INVALIDATE = (MANAGERS | {"may_invalidate"}, MANAGERS | {"may_invalidate"})
DELETE = (MANAGERS | {"may_delete"}, MANAGERS | {"may_delete"})
WATCH = (MANAGERS, MANAGERS)
# Rows of the caller's own; the fetch token may change them, the read token not.
OWN_READ = (SIGNED_IN, SIGNED_IN)
OWN_CHANGE = (SIGNED_IN - {"read"}, SIGNED_IN - {"read"})
# A page about the user, and what needs a permission that no caller below has.
OWN_PAGE = (PEOPLE, PEOPLE)
SUPERUSERS = ({"superuser"}, {"superuser"})
# Invalidating on a page.
ACT = ({"may_invalidate", "superuser"}, {"may_invalidate", "superuser"})
# Fetching again on a page.
FETCH_ON_PAGE = ({"may_fetch", "superuser"}, {"may_fetch", "superuser"})
Who = tuple[set[str], set[str]]

# The methods of every route outside the admin. Any other method is 405, or refused before that.
TABLE: dict[str, dict[str, Who]] = {
    "api-ohlc-list": {"GET": READ},
    "api-bars-detail": {"GET": READ},
    "udf-config": {"GET": READ},
    "udf-time": {"GET": READ},
    "udf-symbols": {"GET": READ},
    "udf-search": {"GET": READ},
    "udf-history": {"GET": READ},
    "udf-marks": {"GET": READ},
    "udf-timescale-marks": {"GET": READ},
    "udf-widgets": {"GET": READ},
    "api-dataset-list": {"GET": READ},
    "api-dataset-detail": {"GET": READ, "DELETE": INVALIDATE},
    "api-dataset-bars": {"GET": READ},
    "api-dataset-file": {"GET": READ, "DELETE": DELETE},
    "api-dataset-refresh": {"POST": REFRESH},
    "api-dataset-gaps": {"GET": READ},
    "api-series-list": {"GET": READ},
    "api-series-detail": {"GET": READ},
    "api-series-bars": {"GET": READ},
    "api-series-gaps": {"GET": READ},
    "api-series-live-list": {"GET": READ},
    "api-series-revisions": {"GET": READ},
    "api-series-refresh": {"POST": REFRESH},
    "api-watchlist-list": {"GET": READ, "POST": WATCH},
    "api-watchlist-detail": {"GET": READ, "PATCH": WATCH, "DELETE": WATCH},
    "api-watchlist-symbols": {"GET": READ, "POST": WATCH, "DELETE": WATCH},
    "api-watchlist-series": {"GET": READ},
    "api-watchlist-quotes": {"GET": READ},
    "api-watchlist-budget": {"GET": READ},
    "api-alert-list": {"GET": READ, "POST": FETCH},
    "api-alert-detail": {"GET": READ, "PATCH": FETCH, "DELETE": FETCH},
    "api-layout-list": {"GET": OWN_READ, "POST": OWN_CHANGE},
    "api-layout-detail": {"GET": OWN_READ, "PATCH": OWN_CHANGE, "DELETE": OWN_CHANGE},
    "api-drawings": {"GET": OWN_READ, "PUT": OWN_CHANGE},
    "api-fetch-list": {"GET": READ, "POST": FETCH},
    "api-fetch-detail": {"GET": READ, "DELETE": FETCH},
    "api-symbol-list": {"GET": READ},
    "api-status-list": {"GET": READ},
    "api-status-cool-down": {"DELETE": REFRESH},
    "api-schema": {"GET": READ},
    "api-docs": {"GET": PAGE},
    "api-errors": {"GET": ALWAYS},
    "chart": {"GET": PAGE},
    "grid": {"GET": PAGE},
    "chart-in-frame": {"GET": PAGE},
    "datasets": {"GET": PAGE, "POST": ACT},
    "dataset": {"GET": PAGE, "POST": ACT},
    "sparkline": {"GET": PAGE},
    "series-list": {"GET": PAGE},
    "series": {"GET": PAGE, "POST": FETCH_ON_PAGE},
    "series-file": {"GET": PAGE},
    "watchlists": {"GET": PAGE, "POST": SUPERUSERS},
    "watchlist": {"GET": PAGE, "POST": SUPERUSERS},
    "watchlist-file": {"GET": PAGE},
    "watchlist-symbol": {"GET": SUPERUSERS, "POST": SUPERUSERS},
    "fetches": {"GET": PAGE, "POST": PAGE},
    "incidents": {"GET": PAGE},
    "status": {"GET": PAGE, "POST": FETCH_ON_PAGE},
    "account": {"GET": OWN_PAGE, "POST": OWN_PAGE},
    "audit": {"GET": SUPERUSERS},
    "login": {"GET": ALWAYS, "POST": ALWAYS},
    "logout": {"POST": PAGE},
    "healthz": {"GET": ALWAYS},
    "readyz": {"GET": ALWAYS},
    # Its own rules are in tests/monitoring/.
    "metrics": {"GET": ALWAYS},
}  # fmt: skip
# Views that answer every method alike, and tell or change nothing by it.
ANY_METHOD = {"chart", "healthz", "readyz", "api-errors", "login", "logout"}


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nobody does the fetches here."""
    found: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", found.append)
    return found


@pytest.fixture
def dataset(make_dataset: MakeDataset) -> Dataset:
    made = make_dataset(300)
    assert [finding.outcome for finding in convert_datasets()] == ["ok"]
    made.refresh_from_db()
    return made


@pytest.fixture
def callers_of_all_kinds(db: None) -> dict[str, Client]:
    """A client for each kind of caller."""
    clients = {"stranger": Client()}
    people: dict[str, dict[str, Any]] = {
        "person": {}, "staff": {"is_staff": True}, "may_fetch": {"is_staff": True},
        "may_invalidate": {"is_staff": True}, "may_delete": {"is_staff": True}, "superuser": {"is_staff": True, "is_superuser": True},
    }  # fmt: skip
    for name, flags in people.items():
        user = User.objects.create_user(name, **flags)
        clients[name] = Client()
        clients[name].force_login(user)
        if name.startswith("may_"):
            codename = f"{name.removeprefix('may_')}_dataset"
            user.user_permissions.add(Permission.objects.get(codename=codename))
    for scope in Scope.values:
        token = ApiToken(name=scope, user=User.objects.get(username="person"), scope=scope)
        clients[scope] = Client(headers={"Authorization": f"Bearer {token.renew()}"})
        token.save()
    assert set(clients) == EVERYONE
    return clients


def routes(patterns: list[URLPattern | URLResolver], space: str = "") -> Iterator[str]:
    """Yield the name of every route, with its namespace."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else space
            yield from routes(pattern.url_patterns, inner)
        elif pattern.name is not None:
            yield space + pattern.name


def address_of(route: str, dataset: Dataset, fetch: Fetch) -> str:
    arguments: dict[str, list[Any]] = {
        "api-fetch-detail": [fetch.pk],
        **dict.fromkeys(
            ("api-dataset-detail", "api-dataset-bars", "api-dataset-file", "api-dataset-refresh", "api-dataset-gaps", "dataset", "sparkline"),
            [dataset.pk],
        ),
        **dict.fromkeys(
            ("api-series-detail", "api-series-bars", "api-series-gaps", "api-series-live-list", "api-series-revisions", "api-series-refresh", "series"),
            [dataset.series_id],
        ),
        **dict.fromkeys(
            ("api-watchlist-detail", "api-watchlist-symbols", "api-watchlist-series", "api-watchlist-quotes", "watchlist", "watchlist-file"),
            [Watchlist.objects.get_or_create(name="mine")[0].pk],
        ),
        "api-alert-detail": [_alert_of(dataset).pk],
        "api-layout-detail": [1],
        "api-bars-detail": [dataset.content_hash],
        "series-file": [dataset.series_id, "2025.parquet"],
    }  # fmt: skip
    return reverse(route, args=arguments.get(route, []))


def _alert_of(dataset: Dataset) -> PriceAlert:
    return PriceAlert.objects.get_or_create(series=dataset.series, condition="above", price=1.0)[0]


def is_let_in(client: Client, method: str, address: str) -> bool:
    """Send the request, undo what it did, and return whether its sender was let in."""
    cookies = deepcopy(client.cookies)
    with transaction.atomic():
        # What the pages' forms send; the API takes no form.
        actions = {"series": "refresh", "watchlists": "pause"}
        action = actions.get(address.split("/")[1], "invalidate")
        body = f"action={action}" if method == "POST" else ""
        response = client.generic(method, address, body, "application/x-www-form-urlencoded")
        # To its end, so that a file is closed.
        b"".join(response)
        transaction.set_rollback(True)
    client.cookies = cookies
    if response.status_code == 302:
        return "/login/?next=" not in response["Location"]
    return response.status_code not in (401, 403, 405)


def test_every_route_stands_in_the_table() -> None:
    found = {name for name in routes(get_resolver().url_patterns) if ":" not in name}

    assert found == set(TABLE)


@pytest.mark.parametrize("route", TABLE)
def test_each_caller_gets_just_so_far(
    route: str, dataset: Dataset, callers_of_all_kinds: dict[str, Client], settings: Any
) -> None:
    fetch = Fetch.objects.create(**dataset.key.as_dict() | {"symbol": "Q"}, requested_via="api")
    address = address_of(route, dataset, fetch)
    stated = TABLE[route]

    for is_open, method in product([True, False], METHODS):
        settings.API_ACCESS = "open" if is_open else "login"
        who = stated.get(method, stated.get("GET") if method == "HEAD" else None)
        if who is None and (route in ANY_METHOD or method == "OPTIONS"):
            continue
        expected = set() if who is None else who[0 if is_open else 1]
        # A method without a line of its own is refused to all or follows GET: four callers show it.
        callers = EVERYONE if method in stated else ENDS
        found = {name for name in callers if is_let_in(callers_of_all_kinds[name], method, address)}
        assert found == expected & callers, f"{method} {address} {settings.API_ACCESS}"


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "login"])
def test_the_admin_lets_in_staff_and_each_model_page_asks_for_a_permission(
    is_open: bool, dataset: Dataset, callers_of_all_kinds: dict[str, Client], settings: Any
) -> None:
    settings.API_ACCESS = "open" if is_open else "login"
    names = {name for name in routes(get_resolver().url_patterns) if name.startswith("admin:")}
    for_all_staff = {"admin:index", "admin:jsi18n", "admin:app_list", "admin:password_change", "admin:password_change_done"}  # fmt: skip

    for name in sorted(names - {"admin:login", "admin:logout", "admin:view_on_site"}):
        try:
            address = reverse(name, args=["datasets"] if name == "admin:app_list" else [])
        except NoReverseMatch:
            address = reverse(name, args=[dataset.pk])
        for who in ("stranger", "person", "read", "fetch", "manage"):
            for method in ("GET", "POST"):
                assert not is_let_in(callers_of_all_kinds[who], method, address), (who, name)
        if name not in for_all_staff:
            # Where the object is not there, Django leads back to the start page.
            assert callers_of_all_kinds["staff"].get(address).status_code != 200, name


# --- a view that says nothing ------------------------------------------------------------


class Silent(APIView):
    """A new endpoint whose author has forgotten its scope."""

    def get(self, request: Request) -> Response:
        return Response("in")

    post = delete = get


class Reading(Silent):
    """One that states the scope of its reading and forgets the rest."""

    required_scopes = READS


@pytest.mark.parametrize("access", ["open", "login"])
@pytest.mark.parametrize(
    ("view", "method", "expected"),
    [
        (Silent, "GET", MANAGERS),
        (Silent, "POST", MANAGERS),
        (Silent, "OPTIONS", MANAGERS),
        (Reading, "POST", MANAGERS),
        (Reading, "DELETE", MANAGERS),
    ],
)
def test_a_view_that_states_no_scope_is_closed(
    view: type[APIView], method: str, expected: set[str], access: str, callers_of_all_kinds: dict[str, Client], settings: Any,
) -> None:  # fmt: skip
    settings.API_ACCESS = access
    found = set()
    for name in EVERYONE:
        request = getattr(APIRequestFactory(), method.lower())("/")
        sign_in(request, name)
        response = view.as_view()(request)
        if response.status_code == 200:
            found.add(name)

    assert found == expected


def test_a_renamed_view_keeps_its_scopes(
    callers_of_all_kinds: dict[str, Client], dataset: Dataset
) -> None:
    class Renamed(endpoints.DatasetViewSet):
        """The same under another name."""

    renamed = Renamed.as_view({"delete": "destroy"})
    request = APIRequestFactory().delete("/")

    assert renamed(request, pk=str(dataset.pk)).status_code == 401
    dataset.refresh_from_db()
    assert dataset.state == Dataset.State.READY


def test_a_view_of_bars_that_states_no_scope_is_closed(dataset: Dataset, client: Client) -> None:
    address = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
    assert client.get(address).status_code == 200

    class SilentOhlc(endpoints.OhlcViewSet):
        """One that has lost its scope."""

        required_scopes: Scopes = {}

    assert (
        endpoints.OhlcViewSet.as_view({"get": "list"})(RequestFactory().get(address)).status_code
        == 200
    )
    assert SilentOhlc.as_view({"get": "list"})(RequestFactory().get(address)).status_code == 401


def sign_in(request: Any, name: str) -> None:
    """Give the request the credentials of this kind of caller."""
    if name in Scope.values:
        token = ApiToken.objects.get(name=name)
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {token.renew()}"
        token.save()
    elif name != "stranger":
        request.COOKIES[settings.SESSION_COOKIE_NAME] = "of a session"
        request.user = User.objects.get(username=name)


def test_every_endpoint_of_the_api_states_its_scopes() -> None:
    viewsets = [getattr(endpoints, name) for name in endpoints.__all__]

    assert viewsets
    for kind in viewsets:
        assert issubclass(kind, ViewSetMixin)
        assert "GET" in kind.required_scopes, kind


# --- what another site's page sends ------------------------------------------------------

CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRESH = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300&use_cache=false&wait=0"


@pytest.mark.parametrize("query", ["", "&use_cache=false", "&max_age=0", "1"])
def test_a_picture_on_another_site_begins_no_fetch(
    query: str, client: Client, dataset: Dataset
) -> None:
    address = f"/api/tv/ohlc?symbol=BINANCE:BTCUSDT&wait=0&n_bars=300{query}"

    response = client.get(address, headers=CROSS)

    assert response.status_code == (403 if query else 200)
    if query:
        assert (
            "another site" in response.json()["detail"] or "other site" in response.json()["detail"]
        )
    assert not Fetch.objects.exists()


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/api/tv/fetches"),
        ("POST", "/api/tv/datasets/{pk}/refresh"),
        ("GET", "/api/tv/symbols?query=btc"),
        ("GET", FRESH),
    ],
)
def test_nothing_that_another_sites_page_sends_calls_tradingview(
    method: str, address: str, dataset: Dataset, callers_of_all_kinds: dict[str, Client], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(**parameters: Any) -> None:
        raise AssertionError("TradingView was asked")

    monkeypatch.setattr("datasets.fetching.symbol_search.find_symbols", fail)

    response = callers_of_all_kinds["superuser"].generic(
        method,
        address.format(pk=dataset.pk),
        '{"symbol": "X:Y"}',
        content_type="application/json",
        headers=CROSS,
    )

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert not Fetch.objects.exists()


@pytest.mark.parametrize(
    ("headers", "origins", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, [], 202),
        ({"Sec-Fetch-Site": "none"}, [], 202),
        ({}, [], 202),
        (CROSS | {"Origin": "https://app.example"}, [], 403),
        (CROSS | {"Origin": "https://app.example"}, ["https://app.example"], 202),
    ],
)
def test_whoever_is_here_on_purpose_begins_a_fetch(
    headers: dict[str, str], origins: list[str], status: int, client: Client, db: None, settings: Any,
) -> None:  # fmt: skip
    settings.CORS_ALLOWED_ORIGINS = origins

    assert client.get(FRESH, headers=headers).status_code == status


def test_a_token_begins_a_fetch_wherever_the_page_stands(
    callers_of_all_kinds: dict[str, Client],
) -> None:
    assert callers_of_all_kinds["fetch"].get(FRESH, headers=CROSS).status_code == 202


def test_a_need_to_manage_without_a_named_permission_is_met_by_superusers_only(db: None) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.all())

    assert not Caller("10.0.0.1", staff).may(Need(Scope.MANAGE))
    assert Caller("10.0.0.1", User.objects.create_superuser("root")).may(Need(Scope.MANAGE))
