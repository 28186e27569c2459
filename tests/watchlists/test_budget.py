"""The calls that watchlists need, against those that are allowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets import watchlists
from datasets.errors import InvalidRequest
from datasets.models import Schedule, Series, Watchlist, database
from datasets.watchlists import kept_numbers
from datasets.watchlists.budget import budget_of, needs_of
from datasets.watchlists.series_plans import own_schedules

pytestmark = pytest.mark.django_db
# A Sunday; Monday is a holiday.
NOW = datetime(2025, 1, 19, 12, 30, tzinfo=UTC)
NEW_YORK = {
    "timezone": "America/New_York", "session_hours": "0930-1600", "session_holidays": "20250120,20250703"
}  # fmt: skip


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.TV_RATE_PER_MINUTE = 20


def a_list(name: str, symbols: list[str], *timeframes: str) -> Watchlist:
    made = watchlists.create_watchlist(name, timeframes=timeframes)
    watchlists.add_symbols(made, watchlists.read_symbols("\n".join(symbols)))
    return made


def stocks(number: int) -> list[str]:
    return [f"NASDAQ:S{each}" for each in range(number)]


@pytest.fixture
def known_hours() -> None:
    """Another stock of the exchange is archived, so that the hours are known."""
    at = datetime(2025, 1, 17, 21, tzinfo=UTC)
    Series.objects.create(
        source="sample", exchange="NASDAQ", symbol="OTHER", timeframe="1D", sequence=1, n_rows=1, bytes=1,
        first_time=at, last_time=at, last_bar_final=True, fetched_at=at, instrument=NEW_YORK,
    )  # fmt: skip


@pytest.mark.usefixtures("known_hours")
def test_the_calls_follow_the_calendars() -> None:
    a_list("minutes", stocks(3), "5", "1D")
    a_list("coins", ["BINANCE:BTCUSDT"], "1h")

    found = budget_of(needs_of(own_schedules()), NOW)

    # A stock has 78 bars of 5 minutes and one of a day, on each of four days; a coin has 24 hours.
    assert found.calls_a_day == 3 * 78 + 3 + 24
    assert found.calls_an_hour == 3 * 12 + 1
    assert found.sentence == (
        "The lists need 261 of 28,800 calls a day, and 37 of 1,200 in the busiest hour; "
        "3 series of days or longer bars after one close take 1 min."
    )


@pytest.mark.usefixtures("known_hours")
def test_five_hundred_daily_series_take_twenty_five_minutes_after_their_close() -> None:
    a_list("days", stocks(500), "1D")

    found = budget_of(needs_of(own_schedules()), NOW)

    assert (found.calls_a_day, found.n_at_one_close, found.close_takes_min) == (500, 500, 25)
    assert found.fits


def test_symbols_that_cannot_fit_are_refused_with_the_timeframe_that_would() -> None:
    made = a_list("minutes", stocks(19), "1")
    other = a_list("months", ["NASDAQ:OTHER"], "1M")

    with pytest.raises(InvalidRequest, match="With 3m in place of 1m the list would fit"):
        watchlists.add_symbols(made, watchlists.read_symbols("NASDAQ:ONE\nNASDAQ:TWO"))
    with pytest.raises(InvalidRequest, match="1,220 of 1,200 in the busiest hour"):
        watchlists.change_watchlist(other, timeframes=["1", "3"])

    assert made.symbols.count() == 19
    assert Schedule.objects.get(symbol="OTHER").timeframe == "1M"


def test_a_paused_list_needs_nothing_and_cannot_go_on_where_another_fills_the_limit() -> None:
    first = a_list("first", stocks(20), "1")
    watchlists.pause(first)
    a_list("second", [f"NYSE:S{each}" for each in range(20)], "1")

    with pytest.raises(InvalidRequest, match="the limit"):
        watchlists.resume(first)

    first.refresh_from_db()
    assert first.is_paused


def test_without_a_limit_everything_fits(settings: Any, client: Client) -> None:
    settings.TV_RATE_PER_MINUTE = 0
    a_list("minutes", stocks(50), "1")

    found = client.get("/api/tv/watchlists/budget").json()

    assert (found["fits"], found["allowed_a_day"], found["calls_a_day"]) == (True, None, 72_000)


def test_the_budget_is_in_the_api(client: Client) -> None:
    a_list("hours", ["BINANCE:BTCUSDT"], "1h")

    found = client.get("/api/tv/watchlists/budget").json()

    assert (found["calls_a_day"], found["allowed_a_day"]) == (24, 28_800)
    assert found["sentence"].startswith("The lists need 24 of 28,800 calls a day")


@pytest.mark.usefixtures("known_hours")
def test_many_series_are_counted_once_a_minute_and_after_each_change(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_numbers, "COUNTED_EACH_TIME", 2)
    made = a_list("stocks", stocks(3), "1D")

    def read(address: str) -> tuple[str, str]:
        """Return the reply and the queries."""
        with CaptureQueriesContext(connection) as captured:
            text = client.get(address).content.decode()
        return text, " ".join(each["sql"] for each in captured)

    for address in ("/api/tv/watchlists/budget", "/watchlists/", f"/watchlists/{made.pk}/"):
        first, counting = read(address)
        again, queries = read(address)
        assert "session_hours" in counting
        assert "session_hours" not in queries
        assert again == first
    later = database.shared_now() + timedelta(minutes=1)
    monkeypatch.setattr(database, "shared_now", lambda: later)
    assert "session_hours" in read("/api/tv/watchlists/budget")[1]

    watchlists.add_symbols(made, watchlists.read_symbols("NASDAQ:S3"))

    assert client.get("/api/tv/watchlists/budget").json()["calls_a_day"] == 4
    assert client.get("/watchlists/").context["rows"][0]["n_series"] == "4"
