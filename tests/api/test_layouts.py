"""`/api/tv/layouts`: each user saves, opens, renames, replaces and deletes layouts of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from datasets.layouts import saved_layouts
from datasets.models import AuditEntry, SavedLayout

pytestmark = pytest.mark.django_db

LAYOUTS = "/api/tv/layouts"
BTC = "symbol=BTCUSDT&exchange=BINANCE&timeframe=1h&n_bars=300"
AAPL = "symbol=AAPL&exchange=NASDAQ&timeframe=1D&n_bars=300&studies=sma(20)"
Send = Callable[..., Any]


@pytest.fixture
def send(client: Client) -> Send:
    """Return a function that sends JSON as a user without any permission."""
    client.force_login(User.objects.create_user("ada"))

    def send_json(method: str, address: str, body: Any = None, *, status: int = 200) -> Any:
        text = "" if body is None else json.dumps(body)
        response = client.generic(method, address, text, content_type="application/json")
        assert response.status_code == status, response.content
        return json.loads(response.content) if response.content else None

    return send_json


def test_a_layout_is_saved_opened_renamed_replaced_and_deleted(send: Send, client: Client) -> None:
    links = {"same_symbol": True, "same_timeframe": True}
    body = {"name": " Two  coins ", "charts": ["?" + BTC, AAPL]} | links
    made = send("POST", LAYOUTS, body, status=201)

    assert (made["name"], made["charts"]) == ("Two coins", [BTC, AAPL])
    assert {name: made[name] for name in links} == links
    assert send("GET", LAYOUTS)["results"] == [made] == [send("GET", f"{LAYOUTS}/{made['id']}")]
    # The page that the address opens reads the same two queries.
    query = client.get(made["address"]).wsgi_request.GET.dict()
    assert made["address"].startswith("/grid/?")
    assert query == {"charts": "2", "a": BTC, "b": AAPL, "same_symbol": "1", "same_timeframe": "1"}

    renamed = send("PATCH", f"{LAYOUTS}/{made['id']}", {"name": "One coin"})
    assert (renamed["name"], renamed["saved_at"]) == ("One coin", made["saved_at"])
    replaced = send("PATCH", f"{LAYOUTS}/{made['id']}", {"charts": [BTC], "same_symbol": False})
    assert replaced["address"] == f"/?{BTC}"
    assert replaced["saved_at"] > made["saved_at"]
    account = client.get("/account/").content.decode()
    assert f'href="/?{BTC.replace("&", "&amp;")}">One coin' in account
    assert "One coin" in client.get("/grid/").content.decode()

    send("DELETE", f"{LAYOUTS}/{made['id']}", status=204)
    assert send("GET", LAYOUTS)["results"] == []


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        ({"name": " "}, "name", "blank"),
        ({"name": "x", "charts": [BTC, BTC, BTC]}, "charts", "1, 2 or 4 charts"),
        ({"name": "x", "charts": ["", ""]}, "charts", "No chart of this layout has a symbol"),
        ({"name": "x", "charts": ["a b"]}, "charts", "without spaces"),
        ({"name": "x", "charts": ["symbol=A#x"]}, "charts", "without #"),
        ({"name": "x", "charts": ["s=" + "é" * 3000]}, "charts", "more than 8000 characters"),
        ({"name": "x", "same_symbol": "maybe"}, "same_symbol", "true or false"),
        ({"name": "x", "color": "red"}, "color", "no such"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_saved(
    body: dict[str, Any], field: str, sentence: str, send: Send
) -> None:
    reply = send("POST", LAYOUTS, {"charts": [BTC]} | body, status=400)

    assert sentence in reply["errors"][field][0]
    assert not SavedLayout.objects.exists()


def test_a_name_is_unique_for_one_user_and_the_number_of_layouts_is_limited(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = saved_layouts.save_layout(User.objects.create_user("bob"), "mine", [BTC])
    made = send("POST", LAYOUTS, {"name": "mine", "charts": [BTC]}, status=201)
    second = send("POST", LAYOUTS, {"name": "second", "charts": [BTC]}, status=201)

    taken = send("POST", LAYOUTS, {"name": "mine", "charts": [BTC]}, status=400)
    assert "You have a layout 'mine' already" in taken["errors"]["name"][0]
    taken = send("PATCH", f"{LAYOUTS}/{second['id']}", {"name": "mine"}, status=400)
    assert "Replace it" in taken["errors"]["name"][0]
    monkeypatch.setattr(saved_layouts, "MOST_LAYOUTS", 2)
    full = send("POST", LAYOUTS, {"name": "third", "charts": [BTC]}, status=400)
    assert "at most 2 layouts" in full["errors"]["name"][0]

    # A layout of another user is not found, is not listed, and cannot be changed.
    assert [row["id"] for row in send("GET", LAYOUTS)["results"]] == [made["id"], second["id"]]
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        send(method, f"{LAYOUTS}/{other.pk}", body, status=404)
    other.refresh_from_db()
    assert other.name == "mine"


def test_a_stranger_has_no_layouts_and_a_deleted_user_leaves_none(client: Client) -> None:
    user = User.objects.create_user("ada")
    saved_layouts.save_layout(user, "mine", [BTC])

    assert client.get(LAYOUTS).status_code == 401
    user.delete()
    assert not SavedLayout.objects.exists()


def test_the_admin_shows_a_layout_and_records_its_deletion(admin_client: Client) -> None:
    layout = saved_layouts.save_layout(User.objects.create_user("ada"), "mine", [BTC, AAPL])
    page = reverse("admin:datasets_savedlayout_change", args=[layout.pk])

    assert "/grid/?charts=2" in admin_client.get(page).content.decode()
    assert "ada" in admin_client.get(reverse("admin:datasets_savedlayout_changelist")).content.decode()  # fmt: skip
    delete = reverse("admin:datasets_savedlayout_delete", args=[layout.pk])
    admin_client.post(delete, {"post": "yes"})

    assert not SavedLayout.objects.exists()
    assert AuditEntry.objects.filter(action="deleted", subject="mine", via="admin").exists()


def test_only_the_chart_in_a_frame_may_be_framed_and_only_by_this_service(client: Client) -> None:
    framed, whole = client.get("/grid/chart/"), client.get("/")

    assert "frame-ancestors 'self'" in framed["Content-Security-Policy"]
    assert framed["X-Frame-Options"] == "SAMEORIGIN"
    assert 'class="site-header"' not in framed.content.decode()
    for response in (whole, client.get("/grid/"), client.get("/datasets/")):
        assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "DENY"
