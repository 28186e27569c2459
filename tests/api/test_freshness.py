"""Freshness in replies and on pages: a list costs no query a row, and a body stays valid while time passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets.bars import Instrument
from datasets.models import Schedule, Series
from tests.api.test_ohlc import MakeDataset

pytestmark = pytest.mark.django_db
ALWAYS_OPEN = {"session_hours": "24x7", "timezone": "Etc/UTC"}
NEW_YORK = {"session_hours": "0930-1600", "timezone": "America/New_York", "type": "stock"}
OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
MakeSeries = Callable[..., Series]


def series_row(number: int, **changes: Any) -> Series:
    """Return a row of hours whose last bar closed six hours ago, not saved."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {
        "source": "sample", "exchange": "LOAD", "symbol": f"S{number}", "timeframe": "1h", "sequence": 1,
        "n_rows": 100, "bytes": 1, "first_time": hour - timedelta(days=9),
        "last_time": hour - timedelta(hours=7), "last_bar_final": True,
        "fetched_at": hour - timedelta(hours=6) + timedelta(seconds=20), "instrument": ALWAYS_OPEN,
    }  # fmt: skip
    return Series(**values | changes)


def test_two_hundred_series_are_listed_with_as_many_queries_as_one(client: Client) -> None:
    many = [series_row(number, timeframe=("1h", "1D")[number % 2]) for number in range(200)]
    Series.objects.bulk_create(many)
    for each in Series.objects.all():
        Schedule.objects.create(**each.series_key.dataset(100).as_dict(), series=each)

    def queries(size: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            reply = client.get(f"/api/tv/series?page_size={size}")
        assert len(reply.json()["results"]) == size
        return len(captured)

    queries(1)
    assert queries(200) == queries(1)


def test_a_series_says_how_far_behind_it_is_and_when_its_next_fetch_comes(client: Client) -> None:
    series = series_row(1)
    series.save()
    due_at = timezone.now() + timedelta(minutes=3)
    Schedule.objects.create(
        **series.series_key.dataset(100).as_dict(), series=series, due_at=due_at
    )

    found = client.get(f"/api/tv/series/{series.pk}").json()["freshness"]

    assert (found["state"], found["lag_bars"]) == ("behind", 6)
    assert datetime.fromisoformat(found["held_through"]) == series.last_time + timedelta(hours=1)
    assert datetime.fromisoformat(found["next_run_at"]) == due_at
    assert found["reason"].startswith("6 bars have closed since")


@pytest.fixture
def fetched_at_noon(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, Any], str], None]:
    """Return a function that adds a dataset of hours up to Monday 2025-01-13 12:00, and sets the clock."""

    def add(hours: dict[str, Any], now: str) -> None:
        noon = datetime(2025, 1, 13, 12, 0, 20, tzinfo=UTC)
        make_dataset(300, reply={"instrument": Instrument(**hours), "fetched_at": noon})
        moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
        monkeypatch.setattr("django.utils.timezone.now", lambda: moment)

    return add


def test_a_reply_says_in_its_headers_how_fresh_the_bars_are_and_its_body_does_not_change(
    fetched_at_noon: Callable[..., None], client: Client
) -> None:
    fetched_at_noon(ALWAYS_OPEN, "2025-01-13T18:30")

    reply = client.get(OHLC)
    again = client.get(OHLC, headers={"If-None-Match": reply["ETag"]})

    assert (reply.status_code, again.status_code) == (200, 304)
    assert reply.json()["complete_until"] == "2025-01-13T13:00:00Z"
    for each in (reply, again):
        assert (each["Freshness"], each["Lag-Bars"]) == ("behind", "6")
        assert each["Expected-Through"] == "2025-01-13T18:00:00Z"


def test_a_reply_of_a_closed_market_says_until_when(
    fetched_at_noon: Callable[..., None], client: Client
) -> None:
    fetched_at_noon(NEW_YORK, "2025-01-13T12:10")

    reply = client.get(OHLC)

    assert (reply["Freshness"], reply["Lag-Bars"]) == ("closed", "0")
    assert reply["Market-Opens-At"] == "2025-01-13T14:30:00Z"
    # Pages of other origins may read what the service's own page reads.
    told = {"Freshness", "Lag-Bars", "Expected-Through", "Market-Opens-At"}
    assert told <= set(settings.CORS_EXPOSE_HEADERS)


def test_a_reply_without_trading_hours_invents_no_lag(
    make_dataset: MakeDataset, client: Client
) -> None:
    make_dataset(300)

    reply = client.get(OHLC)

    assert reply["Freshness"] == "unknown"
    assert "Lag-Bars" not in reply
    assert reply.json()["complete_until"] is None


def test_the_pages_of_series_show_the_freshness(client: Client) -> None:
    series = series_row(1)
    series.save()

    listed = client.get("/series/").content.decode()
    page = client.get(f"/series/{series.pk}/").content.decode()

    assert "6 bars behind" in listed
    assert "6 bars behind" in page
    assert "No watchlist has the series" in page
