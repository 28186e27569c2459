"""`manage.py watch …` and the parts of `manage.py backfill` that need no worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command

from datasets.models import AuditEntry, Schedule, Watchlist
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], settings: Any, clean_feed: Feed) -> Run:
    """Return a function that runs a command and returns its output."""
    settings.TV_SEARCH_URL = clean_feed.addresses["search_url"]
    settings.TV_RATE_PER_MINUTE = 0
    cache.clear()

    def run_command(*arguments: str) -> str:
        call_command(*arguments)
        return capsys.readouterr().out

    return run_command


def test_a_list_is_made_changed_and_removed(run: Run) -> None:
    printed = run(
        "watch", "add", "mine", "nasdaq:aapl", "BINANCE:BTCUSDT", "-t", "60,D", "-n", "500"
    )
    assert printed == "mine: 2 symbols added, 2 in the list at 1h, 1D.\n"
    run("watch", "add", "mine", "--settle-s", "30")
    found = json.loads(run("watch", "list", "--json"))

    assert [(each["name"], each["first_bars"], each["settle_s"]) for each in found] == [
        ("mine", 500, 30)
    ]
    assert found[0]["states"]["behind"] == 4
    assert "mine: 1 symbol added, 3 in" in run("watch", "add", "mine", "NASDAQ:MSFT")
    run("watch", "remove", "mine", "NASDAQ:MSFT")
    assert "1 symbol is removed" in run("watch", "remove", "mine", "NASDAQ:AAPL")
    assert Schedule.objects.count() == 2
    assert "its bars stay" in run("watch", "remove", "mine", "--list")
    assert not Watchlist.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "kind", "via")) == [
        ("created", "watchlist", "command"),
        *[("changed", "watchlist", "command")] * 5,
        ("deleted", "watchlist", "command"),
    ]


def test_a_list_is_exported_and_imported_with_its_sections(run: Run, tmp_path: Path) -> None:
    path, copy = tmp_path / "list.txt", tmp_path / "copy.txt"
    path.write_text("###STOCKS,NASDAQ:AAPL,###CRYPTO,BINANCE:BTCUSDT")
    run("watch", "import", "mine", str(path))

    run("watch", "export", "mine", str(copy))

    assert copy.read_text() == run("watch", "export", "mine")
    assert copy.read_text() == "###STOCKS\nNASDAQ:AAPL\n###CRYPTO\nBINANCE:BTCUSDT\n"
    run("watch", "import", "other", str(copy))
    assert run("watch", "export", "other") == copy.read_text()


def test_a_paused_list_and_its_series_are_shown(run: Run) -> None:
    run("watch", "add", "mine", "NASDAQ:AAPL")
    run("watch", "pause", "mine")

    assert "paused" in run("watch", "list", "mine")
    states = json.loads(run("watch", "list", "mine", "--json"))
    assert [(each["full_symbol"], each["state"], each["next_run_at"]) for each in states] == [
        ("NASDAQ:AAPL", "paused", None)
    ]
    run("watch", "resume", "mine")
    assert "behind" in run("watch", "list", "mine")
    assert "1 behind" in run("watch", "list")


def test_a_mistake_changes_nothing_and_names_each_line(run: Run, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="NASDAQ:NIX1 is not in TradingView's symbol search"):
        run("watch", "add", "mine", "NASDAQ:AAPL", "NASDAQ:NIX1")
    with pytest.raises(CommandError, match="Line 2: 'AAPL'"):
        run("watch", "add", "mine", "NASDAQ:AAPL", "AAPL")
    with pytest.raises(CommandError, match="no timeframe"):
        run("watch", "add", "mine", "NASDAQ:AAPL", "-t", "2D")
    with pytest.raises(CommandError, match="cannot be read"):
        run("watch", "import", "mine", str(tmp_path / "none.txt"))
    with pytest.raises(CommandError, match="no watchlist yet"):
        run("watch", "pause", "mine")
    assert not Watchlist.objects.exists()

    run("watch", "add", "mine", "NASDAQ:NIX1", "--unchecked")
    with pytest.raises(CommandError, match="--list to remove"):
        run("watch", "remove", "mine")


def test_a_backfill_without_a_watched_series_says_so(run: Run) -> None:
    with pytest.raises(CommandError, match="manage.py watch add"):
        run("backfill", "NASDAQ:AAPL", "-t", "1h")
    run("watch", "add", "mine", "NASDAQ:AAPL")
    with pytest.raises(CommandError, match="manage.py watch add"):
        run("backfill", "NASDAQ:AAPL", "-t", "1h")
    Schedule.objects.update(backfilled_at="2026-01-01T00:00Z")
    assert run("backfill", "NASDAQ:AAPL", "-t", "D") == "1 of 1 series have their first window.\n"
