"""The pages of watchlists, as the server writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from datasets import watchlists
from datasets.models import AuditEntry, Schedule, Watchlist
from datasets.views.watchlists import watchlist_rows
from tests.support.archives import plain_bars
from tests.support.arrivals import Arrivals
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db

VALUES = {
    "timeframes": ["1h", "1D"], "session": "regular", "adjustment": "splits", "first_bars": "400",
    "settle_s": "5",
}  # fmt: skip


@pytest.fixture
def editor(client: Client) -> Client:
    """A browser of a person of staff who may change watchlists."""
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="change_watchlist"))
    client.force_login(user)
    return client


@pytest.fixture(autouse=True)
def search(settings: Any, clean_feed: Feed) -> None:
    settings.TV_SEARCH_URL = clean_feed.addresses["search_url"]


def make(text: str = "NASDAQ:AAPL\nBINANCE:BTCUSDT", **values: Any) -> Watchlist:
    made = watchlists.create_watchlist("Mine", **({"timeframes": ["1h"]} | values))
    watchlists.add_symbols(made, watchlists.read_symbols(text))
    return made


def address_of(watchlist: Watchlist) -> str:
    return reverse("watchlist", args=[watchlist.pk])


def text_of(reply: Any) -> str:
    """Return the words of a page, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", reply.content.decode()).split())


def test_a_list_is_made_filled_and_exported(editor: Client) -> None:
    reply = editor.post("/watchlists/", VALUES | {"name": " My  stocks "}, follow=True)
    made = Watchlist.objects.get()
    assert (made.name, made.timeframes, made.first_bars, made.owner) == (
        "My stocks", ["1h", "1D"], 400, "ada",
    )  # fmt: skip
    assert "The list My stocks is made" in text_of(reply)

    symbols = "###Shares\nNASDAQ:AAPL,nasdaq:msft\n"
    reply = editor.post(address_of(made), {"action": "add", "symbols": symbols}, follow=True)

    assert "2 symbols are added to My stocks." in text_of(reply)
    assert Schedule.objects.count() == 4
    exported = editor.get(reverse("watchlist-file", args=[made.pk]))
    assert exported.content.decode() == "###Shares\nNASDAQ:AAPL\nNASDAQ:MSFT\n"
    assert exported["Content-Disposition"] == 'attachment; filename="My_stocks.txt"'
    assert set(AuditEntry.objects.values_list("actor", "via")) == {("ada", "page")}


def test_wrong_lines_are_named_and_nothing_is_added(editor: Client) -> None:
    made = make("")

    text = "NASDAQ:AAPL\nMSFT\nNASDAQ:BAD SYMBOL"
    reply = editor.post(address_of(made), {"action": "add", "symbols": text})

    assert reply.status_code == 400
    page = text_of(reply)
    assert "Nothing was added." in page
    assert "Line 2:" in page
    assert "Line 3:" in page
    # The text stays in the form, to be corrected.
    assert "NASDAQ:BAD SYMBOL</textarea>" in reply.content.decode()
    assert not made.symbols.exists()


def test_a_symbol_that_does_not_exist_is_said_at_once(editor: Client) -> None:
    made = make("")

    reply = editor.post(address_of(made), {"action": "add", "symbols": "NASDAQ:NOSUCHTHING"})

    assert reply.status_code == 400
    assert "NASDAQ:NOSUCHTHING is not in TradingView&#x27;s symbol search" in text_of(reply)
    assert not made.symbols.exists()


def test_a_file_is_uploaded(editor: Client) -> None:
    made = make("")

    file = SimpleUploadedFile("mine.txt", "\ufeffBINANCE:BTCUSDT\nBINANCE:ETHUSDT".encode())
    editor.post(address_of(made), {"action": "add", "symbols": "", "file": file})
    broken = SimpleUploadedFile("mine.txt", b"\xff\xfe\x00")
    reply = editor.post(address_of(made), {"action": "add", "symbols": "", "file": broken})

    assert [each.full_symbol for each in made.symbols.all()] == ["BINANCE:BTCUSDT", "BINANCE:ETHUSDT"]  # fmt: skip
    assert "not a text file in UTF-8" in text_of(reply)


def test_a_list_is_renamed_paused_resumed_and_deleted_after_a_question(editor: Client) -> None:
    made = make()

    reply = editor.post(
        address_of(made), VALUES | {"action": "change", "name": "Yours"}, follow=True
    )
    assert "The list Yours is changed." in text_of(reply)
    assert Watchlist.objects.get().name == "Yours"
    reply = editor.post(address_of(made), {"action": "pause"}, follow=True)
    assert "paused" in text_of(reply)
    assert set(Schedule.objects.values_list("is_paused", flat=True)) == {True}
    editor.post(address_of(made), {"action": "resume"})
    assert set(Schedule.objects.values_list("is_paused", flat=True)) == {False}
    reply = editor.post(address_of(made), {"action": "delete"})
    assert "Delete the watchlist Yours?" in text_of(reply)
    assert Watchlist.objects.exists()
    editor.post(address_of(made), {"action": "delete", "confirmed": "1"})
    assert not Watchlist.objects.exists()


def test_a_wrong_value_is_named_at_its_field(editor: Client) -> None:
    make()

    reply = editor.post(
        "/watchlists/", VALUES | {"name": "Mine", "timeframes": [], "first_bars": "0"}
    )

    assert reply.status_code == 400
    page = text_of(reply)
    assert "Choose at least one timeframe." in page
    assert "greater than or equal to 1" in page
    reply = editor.post("/watchlists/", VALUES | {"name": "Mine"})
    assert "Another watchlist has the name" in text_of(reply)


def test_the_page_shows_freshness_next_fetch_and_last_outcome(client: Client) -> None:
    arrivals = Arrivals()
    arrivals.arrive(plain_bars(range(100)))
    made = make("###Shares\nNASDAQ:AAPL\nBINANCE:BTCUSDT")
    due_at = timezone.now() + timedelta(hours=1)
    Schedule.objects.filter(symbol="AAPL").update(due_at=due_at, last_ok_at=timezone.now())
    Schedule.objects.filter(symbol="BTCUSDT").update(
        failures=2, last_error="feed_timeout: No answer came."
    )

    reply = client.get(address_of(made))

    first, second = reply.context["rows"]
    assert (first["full_symbol"], first["section"], first["bars"]) == ("NASDAQ:AAPL", "Shares", "100 bars")  # fmt: skip
    assert first["next_run_at"] == due_at
    assert first["outcome"].startswith("Succeeded ")
    assert (second["label"], second["bars"]) == ("Failing", "none yet")
    assert second["outcome"] == "feed_timeout: No answer came."
    page = reply.content.decode()
    assert f'href="{reverse("series", args=[first["series"].pk])}"' in page
    assert "symbol=AAPL&amp;exchange=NASDAQ&amp;timeframe=1h" in page
    chosen = client.get(address_of(made), {"state": "failing"})
    assert [row["full_symbol"] for row in chosen.context["rows"]] == ["BINANCE:BTCUSDT"]


def test_a_long_list_is_shown_in_pages(client: Client) -> None:
    made = make("\n".join(f"NASDAQ:S{number}" for number in range(120)))

    last = client.get(address_of(made), {"page": "3"})

    assert len(last.context["rows"]) == 20
    assert "101–120 of 120" in text_of(last)


def test_a_visitor_reads_lists_and_changes_nothing(client: Client) -> None:
    made = make()

    page = client.get(address_of(made)).content.decode()

    assert "NASDAQ:AAPL" in page
    assert 'name="action"' not in page
    for action in ("add", "change", "pause", "resume", "remove", "delete"):
        assert client.post(address_of(made), {"action": action}).status_code == 403
    assert client.post("/watchlists/", VALUES | {"name": "Other"}).status_code == 403
    assert client.get("/watchlists/add/?symbol=NASDAQ:AAPL").status_code == 403
    assert (Watchlist.objects.count(), made.symbols.count()) == (1, 2)


def test_the_name_of_the_owner_is_for_staff_only(client: Client, editor: Client) -> None:
    made = make(by="grace")

    assert "made by grace" in text_of(editor.get(address_of(made)))
    client.logout()
    assert "grace" not in text_of(client.get(address_of(made)))


def test_one_symbol_is_added_to_a_list_or_to_a_new_one(editor: Client) -> None:
    make("")
    form = "/watchlists/add/"

    editor.post(form, {"symbol": "NASDAQ:AAPL", "timeframe": "4h", "watchlist": "Mine"})
    editor.post(
        form, {"symbol": "NASDAQ:AAPL", "timeframe": "4h", "watchlist": "", "new_name": "New"}
    )
    reply = editor.post(form, {"symbol": "NASDAQ:AAPL", "watchlist": "", "new_name": ""})

    assert reply.status_code == 400
    assert "A name has 1 to 100 printable characters." in text_of(reply)
    assert {each.name: each.timeframes for each in Watchlist.objects.all()} == {
        "Mine": ["1h"], "New": ["4h"],
    }  # fmt: skip
    assert set(Watchlist.objects.values_list("symbols__symbol", flat=True)) == {"AAPL"}


def test_a_symbol_is_removed(editor: Client) -> None:
    made = make()
    number = made.symbols.get(symbol="AAPL").pk

    reply = editor.post(address_of(made), {"action": "remove", "symbol": number}, follow=True)
    again = editor.post(address_of(made), {"action": "remove", "symbol": number}, follow=True)

    assert "NASDAQ:AAPL is removed from the list; its bars stay." in text_of(reply)
    assert "not in the list any more" in text_of(again)
    assert [each.full_symbol for each in made.symbols.all()] == ["BINANCE:BTCUSDT"]


def test_a_missing_list_links_to_all_lists(client: Client) -> None:
    reply = client.get("/watchlists/987654/")

    assert reply.status_code == 404
    assert 'href="/watchlists/"' in reply.content.decode()


def test_the_pages_say_what_the_lists_need_of_the_limit(client: Client, settings: Any) -> None:
    settings.TV_RATE_PER_MINUTE = 20
    made = make("BINANCE:BTCUSDT\nBINANCE:ETHUSDT")

    overview, page = client.get("/watchlists/"), client.get(address_of(made))

    assert [row["calls_a_day"] for row in overview.context["rows"]] == ["48"]
    sentence = "The lists need 48 of 28,800 calls a day, and 2 of 1,200 in the busiest hour."
    assert sentence in text_of(overview)
    assert f"This list needs up to 48 calls a day. {sentence}" in text_of(page)


def test_a_long_list_has_pages_in_its_order_and_the_states_of_its_fetches(
    editor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchlist_rows, "MOST_STATES", 50)
    symbols = [f"NASDAQ:S{number:02}" for number in reversed(range(26))]
    made = make("\n".join(symbols), timeframes=["1D", "1h"])
    other = watchlists.create_watchlist("Other", timeframes=["1h"])
    watchlists.add_symbols(other, watchlists.read_symbols("NASDAQ:S00\nNASDAQ:OTHER"))
    Schedule.objects.filter(symbol="S03").update(is_paused=True)
    Schedule.objects.update(backfilled_at=timezone.now(), due_at=timezone.now() + timedelta(days=1))

    def shown(query: str) -> list[tuple[str, str]]:
        rows = editor.get(address_of(made) + query).context["rows"]
        return [(row["full_symbol"], row["timeframe"]) for row in rows]

    in_order = [(symbol, timeframe) for symbol in symbols for timeframe in ("1h", "1D")]
    assert (shown(""), shown("?page=2")) == (in_order[:50], in_order[50:])
    paused = [("NASDAQ:S03", "1h"), ("NASDAQ:S03", "1D")]
    assert (shown("?state=paused"), shown("?state=failing")) == (paused, [])
    text = text_of(editor.get(address_of(made)))
    assert "52 series 2 paused 50 on time" in text
    # Each row has its own state by the calendar.
    assert "No bars yet" in text


def test_symbols_above_the_limit_are_refused_with_advice(editor: Client, settings: Any) -> None:
    settings.TV_RATE_PER_MINUTE = 1
    made = make("", timeframes=["1"])

    reply = editor.post(address_of(made), {"action": "add", "symbols": "NASDAQ:AAPL,NASDAQ:MSFT"})

    assert reply.status_code == 400
    assert "TV_RATE_PER_MINUTE" in text_of(reply)
    assert not made.symbols.exists()
