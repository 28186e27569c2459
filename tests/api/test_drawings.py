"""`/api/tv/drawings`: each user reads and replaces drawings of their own, and nobody overwrites a newer version."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from datasets import drawings
from datasets.drawings import kept_drawings
from datasets.models import AuditEntry, SymbolDrawings

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[2]
BTC = "/api/tv/drawings?symbol=BINANCE:BTCUSDT"
POINT = {"time": 1_735_689_600, "price": 93_576.5}
LEVEL = {"id": "a", "kind": "level", "points": [POINT]}
TEXT = {"id": "b", "kind": "text", "points": [POINT], "text": "<i>Support</i> 😀"}
LINE = {"id": "c", "kind": "trend", "points": [POINT, {"time": -1.5, "price": -2}]}
NONE_YET = {"If-None-Match": "*"}
Put = Callable[..., Any]


@pytest.fixture
def put(client: Client) -> Put:
    """Return a function that sends a list of drawings as a user without any permission."""
    client.force_login(User.objects.create_user("ada"))

    def send(body: Any, *, address: str = BTC, status: int = 200, **headers: str) -> Any:
        response = client.put(address, json.dumps(body), "application/json", headers=headers)
        assert response.status_code == status, response.content
        return response

    return send


def test_drawings_are_kept_replaced_and_removed_and_each_version_has_a_tag(
    put: Put, client: Client
) -> None:
    none = client.get(BTC)
    user = User.objects.get(username="ada")
    assert none.json() == {
        "user": user.pk, "symbol": "BINANCE:BTCUSDT", "drawings": [], "version": 0, "updated_at": None,
    }  # fmt: skip
    assert "ETag" not in none
    assert none["Cache-Control"] == "no-store"

    first = put({"drawings": [LEVEL, TEXT]}, **NONE_YET)
    second = put({"drawings": [LINE, TEXT]}, **{"If-Match": first["ETag"]})

    assert (first.json()["version"], second.json()["version"]) == (1, 2)
    assert second.json()["drawings"] == [LINE, TEXT]
    assert second.json()["updated_at"] >= first.json()["updated_at"]
    # Every spelling of a symbol is one symbol.
    read = client.get("/api/tv/drawings?symbol=binance:btcusdt")
    assert (read.json(), read["ETag"]) == (second.json(), second["ETag"])

    # A proxy that compresses marks a tag as weak.
    removed = put({"drawings": []}, **{"If-Match": f"W/{second['ETag']}"})
    assert (removed.json()["version"], "ETag" in removed) == (0, False)
    assert not SymbolDrawings.objects.exists()
    # The tag of a version that is gone names no later one.
    again = put({"drawings": [LEVEL]}, **NONE_YET)
    assert again["ETag"] != first["ETag"]


def test_a_stale_version_changes_nothing_and_the_error_says_what_to_do(
    put: Put, client: Client
) -> None:
    first = put({"drawings": [LEVEL]}, **NONE_YET)
    second = put({"drawings": [TEXT]}, **{"If-Match": first["ETag"]})

    for headers in ({"If-Match": first["ETag"]}, {"If-Match": "*"}, NONE_YET):
        for wanted in ([LINE], []):
            reply = put({"drawings": wanted}, status=412, **headers).json()
            assert (reply["code"], reply["retryable"]) == ("changed_meanwhile", False)
            assert "Read them again, add your changes to them" in reply["detail"]
    absent = f"{BTC.partition('BTC')[0]}ETHUSDT"
    put({"drawings": [LINE]}, address=absent, status=412, **{"If-Match": second["ETag"]})
    missing = put({"drawings": [LINE]}, status=400).json()
    assert "Send the ETag" in missing["errors"]["If-Match"][0]

    assert client.get(BTC).json() == second.json()


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ("no list", "drawings", "Send a list of drawings"),
        ([{**LEVEL, "id": str(n)} for n in range(201)], "drawings", "at most 200 drawings, and these are 201"),
        ([LEVEL, LEVEL], "drawings[1].id", "Another drawing of the list has this id"),
        ([LEVEL, 5], "drawings[1]", "A drawing is an object"),
        ([{**LEVEL, "id": ""}], "drawings[0].id", "1 to 64 visible ASCII characters"),
        ([{**LEVEL, "id": "x" * 65}], "drawings[0].id", "1 to 64"),
        ([{**LEVEL, "kind": "measure"}], "drawings[0].kind", "trend, ray, level"),
        ([{**LEVEL, "kind": ["level"]}], "drawings[0].kind", "trend, ray, level"),
        ([{**LEVEL, "points": [POINT, POINT]}], "drawings[0].points", "level has 1 points"),
        ([{**LEVEL, "color": "red"}], "drawings[0].color", "has only id, kind, points"),
        ([{**LEVEL, "text": "x"}], "drawings[0].text", "has only id, kind, points"),
        ([{**LEVEL, "points": [{"time": 1}]}], "drawings[0].points[0]", "time and price alone"),
        ([{**LINE, "points": [POINT, POINT | {"time": 1e12}]}], "drawings[0].points[1].time", "years 1 and 9999"),
        ([{**LEVEL, "points": [POINT | {"time": True}]}], "drawings[0].points[0].time", "UNIX seconds"),
        ([{**LEVEL, "points": [POINT | {"price": "1"}]}], "drawings[0].points[0].price", "finite number"),
        ([{**TEXT, "text": ""}], "drawings[0].text", "1 to 200 characters"),
        ([{**TEXT, "text": "x" * 201}], "drawings[0].text", "1 to 200 characters"),
        # The page would leave it out: it counts each of these as two.
        ([{**TEXT, "text": "😀" * 101}], "drawings[0].text", "1 to 200 characters"),
        ([{**TEXT, "text": "a\0b"}], "drawings[0].text", "1 to 200 characters"),
    ],
    ids=range(19),
)  # fmt: skip
def test_a_wrong_value_is_named_and_nothing_is_kept(
    wrong: Any, field: str, sentence: str, put: Put
) -> None:
    reply = put({"drawings": wrong}, status=400, **NONE_YET).json()

    assert sentence in reply["errors"][field][0]
    assert not SymbolDrawings.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"drawings": [], "x": 1}', '{"drawings": [NaN]}']
)
def test_a_body_of_another_form_is_refused(body: str, put: Put, client: Client) -> None:
    response = client.put(BTC, body, "application/json", headers=NONE_YET)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"


def test_a_body_of_more_than_a_megabyte_is_refused(put: Put) -> None:
    reply = put({"drawings": [LEVEL] * 20_000}, status=400, **NONE_YET).json()

    assert "longer than 1,048,576 bytes" in reply["detail"]


def test_an_expression_is_a_symbol_and_a_text_that_is_none_is_named(
    put: Put, client: Client
) -> None:
    expression = {"symbol": "BINANCE:BTCUSDT/NASDAQ:AAPL"}
    client.get("/api/tv/drawings", expression)
    address = "/api/tv/drawings?symbol=BINANCE:BTCUSDT/NASDAQ:AAPL"
    put({"drawings": [LEVEL]}, address=address, **NONE_YET)

    assert client.get("/api/tv/drawings", expression).json()["drawings"] == [LEVEL]
    for query in ({}, {"symbol": "BTCUSDT"}, {"symbol": "A:B C"}, {"symbol": "A" * 162}):
        assert "symbol" in client.get("/api/tv/drawings", query).json()["errors"]


def test_the_number_of_symbols_is_limited_and_a_removed_one_makes_room(
    put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_drawings, "MOST_SYMBOLS", 1)
    first = put({"drawings": [LEVEL]}, **NONE_YET)
    other = BTC.replace("BTC", "ETH")

    full = put({"drawings": [LEVEL]}, address=other, status=400, **NONE_YET).json()
    assert "at most 1 symbols" in full["errors"]["symbol"][0]
    changed = put({"drawings": [LINE]}, **{"If-Match": first["ETag"]})
    put({"drawings": []}, **{"If-Match": changed["ETag"]})
    put({"drawings": [LEVEL]}, address=other, **NONE_YET)


def test_drawings_of_another_user_cannot_be_read_or_replaced(put: Put, client: Client) -> None:
    bob = User.objects.create_user("bob")
    theirs = drawings.replace_drawings(bob, "BINANCE:BTCUSDT", [LEVEL], known=None)
    assert theirs is not None

    assert client.get(BTC).json()["drawings"] == []
    put({"drawings": []}, status=412, **{"If-Match": theirs.tag})
    put({"drawings": [LINE]}, **NONE_YET)

    theirs.refresh_from_db()
    assert (theirs.drawings, theirs.version) == ([LEVEL], 1)


def test_a_stranger_has_no_drawings_a_forged_form_changes_none_and_a_deleted_user_leaves_none(
    client: Client,
) -> None:
    assert client.get(BTC).status_code == 401
    body = json.dumps({"drawings": [LEVEL]})
    assert client.put(BTC, body, "application/json", headers=NONE_YET).status_code == 401

    ada, strict = User.objects.create_user("ada"), Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    forged = strict.put(BTC, body, "application/json", headers=NONE_YET)
    assert (forged.status_code, "CSRF" in forged.json()["detail"]) == (403, True)
    assert not SymbolDrawings.objects.exists()

    drawings.replace_drawings(ada, "BINANCE:BTCUSDT", [LEVEL], known=None)
    ada.delete()
    assert not SymbolDrawings.objects.exists()


def test_the_admin_finds_drawings_by_user_and_symbol_and_records_their_deletion(
    admin_client: Client,
) -> None:
    ada = User.objects.create_user("ada")
    kept = drawings.replace_drawings(ada, "BINANCE:BTCUSDT", [LEVEL, LINE], known=None)
    drawings.replace_drawings(ada, "NASDAQ:AAPL", [TEXT], known=None)
    assert kept is not None
    shown = reverse("admin:datasets_symboldrawings_changelist")

    for word, n_found in (("ada", 2), ("BTCUSDT", 1), ("nobody", 0)):
        page = admin_client.get(shown, {"q": word})
        assert len(page.context["cl"].result_list) == n_found
    page = admin_client.get(reverse("admin:datasets_symboldrawings_change", args=[kept.pk]))
    assert "93576.5" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    delete = reverse("admin:datasets_symboldrawings_delete", args=[kept.pk])
    admin_client.post(delete, {"post": "yes"})

    assert [left.symbol for left in SymbolDrawings.objects.all()] == ["NASDAQ:AAPL"]
    assert AuditEntry.objects.filter(subject="BINANCE:BTCUSDT", via="admin").exists()


def test_the_page_keeps_the_same_kinds_within_the_same_limits() -> None:
    scripts = ROOT / "static" / "js" / "drawings"
    shapes, kept = (scripts / "shapes.js").read_text(), (scripts / "kept.js").read_text()
    entries = re.findall(
        r"\n  (\w+): \{\n    name: .*nPoints: (\d).*\n(    isKept: false)?", shapes
    )
    limits = dict(re.findall(r"const (MAX_\w+) = (\d+);", kept))

    assert {kind: int(n) for kind, n, is_left_out in entries if not is_left_out} == drawings.KINDS
    assert {name: int(n) for name, n in limits.items()} == {
        "MAX_TEXT": drawings.MOST_TEXT,
        "MAX_DRAWINGS": drawings.MOST_DRAWINGS,
        "MAX_SYMBOLS": drawings.MOST_SYMBOLS,
    }
