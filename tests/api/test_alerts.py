"""`/api/tv/alerts`: alerts are made, changed, read and deleted by their owner, or without sign-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from datasets import alerts
from datasets.models import AuditEntry
from tests.alerts.conftest import Hours, hours

pytestmark = pytest.mark.django_db
__all__ = ["hours"]

ALERTS = "/api/tv/alerts"
BTC = {"symbol": "binance:btcusdt", "timeframe": "60", "condition": "above", "price": 110.25}
Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


def sender(client: Client) -> Send:
    def send(
        method: str, address: str, body: Any = None, *, status: int = 200, **headers: str
    ) -> Any:
        text = "" if body is None else json.dumps(body)
        found = client.generic(
            method, address, text, content_type="application/json", headers=headers or None
        )
        assert found.status_code == status, found.content
        return json.loads(found.content) if found.content else None

    return send


@pytest.fixture
def send(client: Client) -> Send:
    """Return a function that sends JSON without sign-in."""
    return sender(client)


def signed_in(name: str) -> Send:
    client = Client()
    client.force_login(User.objects.create_user(name))
    return sender(client)


def test_an_alert_is_made_read_changed_and_deleted(hours: Hours, send: Send) -> None:
    made = send("POST", ALERTS, BTC | {"note": "breakout"}, status=201)
    assert made == send("GET", f"{ALERTS}/{made['id']}")
    assert send("GET", f"{ALERTS}?symbol=BTCUSDT&timeframe=1h&state=active")["results"] == [made]
    assert send("GET", f"{ALERTS}?symbol=ETHUSDT")["results"] == []
    values = {
        "symbol": "BTCUSDT", "exchange": "BINANCE", "timeframe": "1h", "condition": "above", "price": 110.25,
        "bars": "closed", "repeats": False, "note": "breakout", "state": "active", "is_own": False,
        "is_followed": False, "webhook": None, "triggered_at": None,
    }  # fmt: skip
    assert {name: made[name] for name in values} == values

    address = f"{ALERTS}/{made['id']}"
    paused = send("PATCH", address, {"state": "paused"})
    assert (paused["state"], paused["armed_at"]) == ("paused", made["armed_at"])
    hours.arrive({2: 111.0})
    armed = send("PATCH", address, {"state": "active", "price": 105, "bars": "forming"})
    assert (armed["state"], armed["price"], armed["bars"]) == ("active", 105.0, "forming")
    assert armed["armed_at"] > made["armed_at"]
    hours.arrive({3: 106.0})
    alerts.check_closed()
    triggered = send("GET", address)
    assert (triggered["state"], triggered["triggered_price"]) == ("triggered", 106.0)
    assert triggered["triggered_bar"] == "2025-03-03T03:00:00Z"
    send("DELETE", address, status=204)
    send("GET", address, status=404)
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["created", "paused", "resumed", "deleted"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"symbol": "BINANCE:ETHUSDT"}, "symbol"),
        ({"timeframe": "7"}, "timeframe"),
        ({"condition": "near"}, "condition"),
        ({"price": "1e999"}, "price"),
        ({"price": float("nan")}, "price"),
        ({"bars": "open"}, "bars"),
        ({"note": "x" * 201}, "note"),
        ({"user": 1}, "user"),
        ({"state": "triggered"}, "state"),
    ],
)
def test_a_wrong_value_is_named(
    hours: Hours, send: Send, values: dict[str, Any], field: str
) -> None:
    if field == "price":
        # JSON has no NaN; the parser refuses it before the field does.
        assert send("POST", ALERTS, BTC | values, status=400)["code"] == "invalid_request"
        return
    assert field in send("POST", ALERTS, BTC | values, status=400)["errors"]


def test_a_user_sees_the_own_alerts_and_those_without_an_owner(hours: Hours, send: Send) -> None:
    ada, ben = signed_in("ada"), signed_in("ben")
    own, common = ada("POST", ALERTS, BTC, status=201), send("POST", ALERTS, BTC, status=201)

    assert (own["is_own"], common["is_own"]) == (True, False)
    assert [row["id"] for row in ada("GET", ALERTS)["results"]] == [common["id"], own["id"]]
    assert [row["id"] for row in ben("GET", ALERTS)["results"]] == [common["id"]]
    for other in (ben, send):
        other("GET", f"{ALERTS}/{own['id']}", status=404)
        other("PATCH", f"{ALERTS}/{own['id']}", {"price": 1}, status=404)
        other("DELETE", f"{ALERTS}/{own['id']}", status=404)
    ben("DELETE", f"{ALERTS}/{common['id']}", status=204)


def test_a_page_of_another_site_changes_nothing(hours: Hours, send: Send) -> None:
    made = send("POST", ALERTS, BTC, status=201)
    other = {"Sec-Fetch-Site": "cross-site"}

    send("POST", ALERTS, BTC, status=403, **other)
    send("PATCH", f"{ALERTS}/{made['id']}", {"price": 1}, status=403, **other)
    send("DELETE", f"{ALERTS}/{made['id']}", status=403, **other)


def test_a_closed_service_takes_alerts_only_from_those_who_sign_in(
    hours: Hours, send: Send, settings: Any
) -> None:
    settings.API_ACCESS = "login"

    assert send("POST", ALERTS, BTC, status=401)["code"] == "not_authenticated"
    signed_in("ada")("POST", ALERTS, BTC, status=201)
