"""`/api/tv/watchlists`: lists are made, changed and read; a mistake changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from datasets.archive.conversion import convert_datasets
from datasets.models import AuditEntry, Dataset, Schedule, WatchedSymbol, Watchlist
from tests.support.schedules import CRYPTO, at, watched
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db

LISTS = "/api/tv/watchlists"
Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def search(settings: Any, clean_feed: Feed) -> None:
    settings.TV_SEARCH_URL = clean_feed.addresses["search_url"]
    settings.TV_RATE_PER_MINUTE = 0
    cache.clear()


@pytest.fixture
def send(client: Client) -> Send:
    """Return a function that sends JSON as a member of staff who may change watchlists."""
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_watchlist"))
    client.force_login(user)

    def send_json(method: str, address: str, body: Any = None, *, status: int = 200) -> Any:
        text = None if body is None else json.dumps(body)
        response = client.generic(method, address, text or "", content_type="application/json")
        assert response.status_code == status, response.content
        return json.loads(response.content) if response.content else None

    return send_json


def make(send: Send, **values: Any) -> dict[str, Any]:
    body = {"name": "mine", "symbols": ["NASDAQ:AAPL"], "timeframes": ["60", "D"]} | values
    found: dict[str, Any] = send("POST", LISTS, body, status=201)
    return found


def archived(dataset: Dataset) -> int:
    """Bring the dataset into the archive; return the number of its series."""
    list(convert_datasets())
    dataset.refresh_from_db()
    assert dataset.series_id is not None
    return dataset.series_id


def test_a_list_is_made_with_its_symbols_and_read_back(send: Send) -> None:
    made = make(send, text="###Coins,BINANCE:BTCUSDT", first_bars=500, settle_s=9)

    assert made == send("GET", f"{LISTS}/{made['id']}")
    assert send("GET", LISTS)["results"] == [made]
    values = {"name": "mine", "timeframes": ["1h", "1D"], "first_bars": 500, "settle_s": 9}
    assert {name: made[name] for name in values} == values
    assert (made["n_symbols"], made["is_paused"]) == (2, False)
    symbols = send("GET", f"{LISTS}/{made['id']}/symbols")["results"]
    assert [(row["full_symbol"], row["section"]) for row in symbols] == [
        ("NASDAQ:AAPL", ""), ("BINANCE:BTCUSDT", "Coins"),
    ]  # fmt: skip
    assert Schedule.objects.count() == 4
    entry = AuditEntry.objects.get(action="created")
    assert (entry.actor, entry.via, entry.subject) == ("ada", "api", "mine")


def test_symbols_are_added_all_or_none_and_removed_one_by_one(send: Send) -> None:
    address = f"{LISTS}/{make(send)['id']}/symbols"

    new = send(
        "POST", address, {"symbols": ["NASDAQ:AAPL", "BINANCE:BTCUSDT"], "text": "BINANCE:BTCUSDT"}
    )
    wrong = send("POST", address, {"symbols": ["BINANCE:ETHUSDT", "NASDAQ:NIX1"]}, status=400)
    lines = send("POST", address, {"text": "BINANCE:ETHUSDT\nAAPL"}, status=400)

    assert [row["full_symbol"] for row in new] == ["BINANCE:BTCUSDT"]
    assert "NASDAQ:NIX1 is not in TradingView's symbol search" in wrong["errors"]["symbols"][0]
    assert lines["errors"]["symbols"][0].startswith("Line 2")
    assert WatchedSymbol.objects.count() == 2
    send("POST", address, {"symbols": ["NASDAQ:NIX1"], "check_symbols": False})
    send("DELETE", f"{address}?symbol=NASDAQ:AAPL", status=204)
    assert (
        "not in the list" in send("DELETE", f"{address}?symbol=NASDAQ:AAPL", status=400)["detail"]
    )
    assert sorted(map(str, WatchedSymbol.objects.all())) == ["BINANCE:BTCUSDT", "NASDAQ:NIX1"]


def test_a_list_is_changed_paused_resumed_and_deleted(send: Send) -> None:
    address = f"{LISTS}/{make(send)['id']}"

    assert send("PATCH", address, {"timeframes": ["1m"], "name": "yours"})["name"] == "yours"
    assert list(Schedule.objects.values_list("timeframe", flat=True)) == ["1"]
    assert send("PATCH", address, {"is_paused": True})["is_paused"] is True
    states = send("GET", f"{address}/series")["results"]
    assert [(row["full_symbol"], row["state"], row["series"]) for row in states] == [
        ("NASDAQ:AAPL", "paused", None)
    ]
    Schedule.objects.update(failures=2)
    assert send("PATCH", address, {"is_paused": False})["is_paused"] is False
    assert Schedule.objects.filter(is_paused=False, failures=0).count() == 1
    send("DELETE", address, status=204)
    send("GET", address, status=404)
    assert not Schedule.objects.exists()


def test_the_series_say_how_fresh_they_are_and_when_they_are_fetched(send: Send) -> None:
    schedule = watched("BINANCE:BTCUSDT", "1h", CRYPTO, begin=at("2100-01-01 00:00"))

    states = send("GET", f"{LISTS}/{Watchlist.objects.get().pk}/series")["results"]

    assert len(states) == 1
    assert (states[0]["id"], states[0]["series"]) == (schedule.pk, schedule.series_id)
    assert (states[0]["state"], states[0]["count"]) == ("behind", 300)
    assert states[0]["lag_bars"] > 50_000
    assert states[0]["next_run_at"] == "2100-01-01T00:00:00Z"


def test_the_quotes_give_the_newest_price_and_its_change_in_the_order_of_the_list(
    send: Send, make_dataset: Callable[..., Dataset]
) -> None:
    series = archived(make_dataset())
    text = "BINANCE:BTCUSDT,###Shares,NASDAQ:AAPL"
    address = f"{LISTS}/{make(send, symbols=[], text=text, timeframes=['1h'])['id']}"
    before, last = send("GET", f"/api/tv/series/{series}/bars?n_bars=2")["ohlc"]

    coin, share = send("GET", f"{address}/quotes?timeframe=60")["results"]

    assert (coin["full_symbol"], coin["series"]) == ("BINANCE:BTCUSDT", series)
    assert (coin["time"], coin["close"]) == (last["time"], last["close"])
    assert coin["previous_close"] == before["close"]
    assert coin["change"] == last["close"] - before["close"]
    assert coin["change_percent"] == pytest.approx(100 * (last["close"] / before["close"] - 1))
    assert (coin["state"], share["state"]) == ("unknown", "behind")
    assert (share["full_symbol"], share["section"]) == ("NASDAQ:AAPL", "Shares")
    assert (share["close"], share["change"], share["series"]) == (None, None, None)
    assert "no bars yet" in share["reason"]
    assert send("GET", f"{address}/quotes?page_size=1")["results"] == [coin]
    wrong = send("GET", f"{address}/quotes?timeframe=1W", status=400)
    assert wrong["errors"]["timeframe"] == ["The list has 1h; use one of them."]


def test_an_archive_that_cannot_be_read_leaves_the_other_quotes(
    send: Send, own_outputs: Path, make_dataset: Callable[..., Dataset]
) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT"):
        archived(make_dataset(symbol=symbol))
    made = make(send, symbols=["BINANCE:BTCUSDT", "BINANCE:ETHUSDT"], timeframes=["1h"])
    (document,) = own_outputs.glob("archive/**/*ETHUSDT*/series.json")
    document.write_text("no json")

    good, bad = send("GET", f"{LISTS}/{made['id']}/quotes")["results"]

    assert good["close"] is not None
    assert (bad["close"], bad["change"]) == (None, None)
    assert "series.json" in bad["reason"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"timeframes": ["2D"]}, "timeframes"),
        ({"timeframes": []}, "timeframes"),
        ({"session": "night"}, "session"),
        ({"first_bars": 10**9}, "first_bars"),
        ({"settle_s": 3601}, "settle_s"),
        ({"color": "red"}, "color"),
        ({"symbols": ["AAPL"]}, "symbols"),
    ],
)
def test_a_wrong_value_makes_no_list(send: Send, changes: dict[str, Any], field: str) -> None:
    body = {"name": "mine", "symbols": ["NASDAQ:AAPL"]} | changes

    problem = send("POST", LISTS, body, status=400)

    assert list(problem["errors"]) == [field]
    assert not Watchlist.objects.exists()


def test_a_name_is_taken_once(send: Send) -> None:
    make(send)

    assert "choose another name" in send("POST", LISTS, {"name": "mine"}, status=400)["detail"]


def test_readers_read_and_only_staff_with_the_permission_change(client: Client, send: Send) -> None:
    made = make(send)
    client.logout()
    client.force_login(User.objects.create_user("bob", is_staff=True))

    assert client.get(f"{LISTS}/{made['id']}/series").status_code == 200
    for method, address in [
        ("POST", LISTS),
        ("PATCH", f"{LISTS}/{made['id']}"),
        ("DELETE", f"{LISTS}/{made['id']}"),
        ("POST", f"{LISTS}/{made['id']}/symbols"),
        ("DELETE", f"{LISTS}/{made['id']}/symbols?symbol=NASDAQ:AAPL"),
    ]:
        assert (
            client.generic(method, address, "{}", content_type="application/json").status_code
            == 403
        )
    assert Watchlist.objects.get().symbols.count() == 1
