"""Live bars beside those of the archive: joined where they surely belong together, with their state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.live.connection_lease import LEASE, ConnectionLease
from datasets.live.poll_pace import PollPace
from datasets.live.watched_series import watched_series
from datasets.models import ApiToken, LiveConnection, LiveSeries, Series, database
from tests.support.archives import AAPL, bars_of, plain_bar, without
from tests.support.arrivals import Arrivals

pytestmark = pytest.mark.django_db

HOUR = 3600
ALWAYS_OPEN = without(AAPL, session_hours="24x7", timezone="Etc/UTC")


@pytest.fixture(autouse=True)
def live_is_on(settings: Any) -> None:
    settings.TV_LIVE = True


def this_hour() -> int:
    """Return the number of the present hour since 1970."""
    return int(datetime.now(UTC).timestamp()) // HOUR


def archived(n_behind: int = 0, *, symbol: str = "AAPL") -> Series:
    """Return a series of fifty hourly bars; the newest one was forming, and opened `n_behind` hours ago."""
    last, arrivals = this_hour() - n_behind, Arrivals(symbol=symbol)
    arrivals.now = datetime.fromtimestamp(last * HOUR + 1, UTC) - timedelta(days=1)
    table = bars_of({hour: plain_bar(hour) for hour in range(last - 49, last + 1)}, first=0)
    arrivals.arrive(table, instrument=ALWAYS_OPEN, last_bar_final=False)
    return arrivals.series


def receive(series: Series, hours: range, *, factor: float = 1.0, **values: Any) -> None:
    """Write live bars of these hours as the holder of the connection does; each closes 0.5 above the archive's last."""
    lease = ConnectionLease()
    now, last = database.now(), this_hour()
    LiveConnection.objects.update_or_create(
        source="sample",
        defaults={"owner": lease.owner, "lease_until": now + LEASE, "connected_at": now},
    )
    bars = []
    for hour in hours:
        opens, high, low, close, volume = plain_bar(hour)
        close += 0.01 if hour == last else 0.0
        prices = (factor * price for price in (opens, high, low, close))
        bars.append([float(hour * HOUR), *prices, volume])
    row = {
        "asked_at": now,
        "connection": lease.owner,
        "bars": bars,
        "heard_at": now,
        "close_time": datetime.fromtimestamp((hours[-1] + 1) * HOUR, UTC),
    }
    LiveSeries.objects.update_or_create(series=series, defaults=row | values)


def live(client: Client, series: Series, **query: Any) -> dict[str, Any]:
    reply = client.get(f"/api/tv/series/{series.pk}/live", query)
    assert reply.status_code == 200, reply.content
    body: dict[str, Any] = reply.json()
    return body


def hour_of(number: int) -> str:
    return f"{datetime.fromtimestamp(number * HOUR, UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_a_live_bar_replaces_the_forming_bar_of_the_archive(client: Client) -> None:
    series, last = archived(), this_hour()
    receive(series, range(last - 3, last + 1))

    body = live(client, series, since=hour_of(last - 2))

    assert [bar["time"] for bar in body["ohlc"]] == [hour_of(last + step) for step in (-2, -1, 0)]
    assert body["ohlc"][-1]["close"] == pytest.approx(plain_bar(last)[3] + 0.01)
    assert body["ohlc"][0]["close"] == plain_bar(last - 2)[3]
    assert (body["state"], body["forming"]) == ("live", True)
    assert body["unconfirmed_from"] == hour_of(last)
    assert body["closes_at"] == hour_of(last + 1)
    # The archive itself is as it was.
    kept = client.get(f"/api/tv/series/{series.pk}/bars", {"n_bars": 1}).json()["ohlc"]
    assert kept[0]["close"] == plain_bar(last)[3]


def test_live_bars_follow_those_of_an_archive_that_is_behind(client: Client) -> None:
    series, last = archived(2), this_hour()
    receive(series, range(last - 5, last + 1))

    body = live(client, series, since=hour_of(last - 3))

    assert [bar["time"] for bar in body["ohlc"]] == [hour_of(last - step) for step in (3, 2, 1, 0)]
    assert body["unconfirmed_from"] == hour_of(last - 2)
    assert (body["state"], body["lag_bars"]) == ("live", 0)


@pytest.mark.parametrize(
    ("n_behind", "factor"), [(30, 1.0), (2, 0.25)], ids=["bars between are missing", "a split"]
)
def test_live_bars_that_do_not_fit_the_archive_are_not_shown(
    client: Client, n_behind: int, factor: float
) -> None:
    series, last = archived(n_behind), this_hour()
    receive(series, range(last - 19, last + 1), factor=factor)

    body = live(client, series, since=hour_of(last - n_behind - 3))

    assert body["ohlc"][-1]["time"] == hour_of(last - n_behind)
    assert body["unconfirmed_from"] is None
    assert body["state"] == "behind"
    assert body["summary"] == f"{body['lag_bars']} bars behind"


def test_the_reply_names_the_delay_and_what_keeps_live_bars_away(
    client: Client, settings: Any
) -> None:
    series, last = archived(), this_hour()
    receive(series, range(last - 3, last + 1), delay_s=900)
    assert live(client, series)["summary"] == "delayed 15 min"

    LiveSeries.objects.update(
        connection="", version=1, error_code="not_permitted", error_message="No."
    )
    refused = live(client, series)
    assert (refused["state"], refused["error"]["code"]) == ("failed", "not_permitted")

    LiveSeries.objects.update(version=2, error_code="")
    assert live(client, series)["state"] == "waiting"

    LiveConnection.objects.update(lease_until=database.now() - timedelta(seconds=1))
    gone = live(client, series)
    assert (gone["state"], gone["error"]["code"]) == ("failed", "live_not_running")

    settings.TV_LIVE = False
    assert live(client, series)["state"] == "off"


def test_an_unchanged_reply_is_a_304_and_a_hot_one_costs_no_query(
    client: Client, settings: Any, django_assert_num_queries: Any
) -> None:
    series, last = archived(), this_hour()
    receive(series, range(last - 3, last + 1))
    address = f"/api/tv/series/{series.pk}/live"
    first = client.get(address)
    tagged = {"If-None-Match": first["ETag"]}

    same = client.get(address, headers=tagged)
    assert (same.status_code, same.content) == (304, b"")

    settings.WEB_TRUST_MS = 60_000
    client.get(address)
    with django_assert_num_queries(0):
        assert client.get(address, headers=tagged).status_code == 304


def test_a_request_begins_a_watch_only_where_the_caller_may_fetch(client: Client) -> None:
    series = archived()
    user = User.objects.create_user("ada")
    token = ApiToken(name="reader", user=user, scope="read")
    secret = token.renew()
    token.save()
    address = f"/api/tv/series/{series.pk}/live"

    client.get(address, headers={"Authorization": f"Bearer {secret}"})
    client.get(address, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://other.example"})
    assert not LiveSeries.objects.exists()

    client.get(address)
    assert LiveSeries.objects.get().series == series


def test_a_first_watch_counts_as_a_fetch_of_the_client(client: Client, settings: Any) -> None:
    settings.API_FETCHES_PER_MINUTE = 1
    one, other = archived(), archived(symbol="MSFT")

    assert client.get(f"/api/tv/series/{one.pk}/live").status_code == 200
    assert client.get(f"/api/tv/series/{one.pk}/live").status_code == 200

    assert client.get(f"/api/tv/series/{other.pk}/live").status_code == 429


def test_of_two_processes_one_holds_the_connection(settings: Any) -> None:
    first, second = ConnectionLease(), ConnectionLease()
    assert first.claim()
    assert not second.claim()

    # The first process died, and its lease has ended.
    LiveConnection.objects.update(lease_until=database.now() - timedelta(seconds=1))
    assert second.claim()
    assert not first.extend()
    assert first.is_lost
    assert second.extend()


def test_the_connection_keeps_its_series_and_takes_no_more_than_the_setting(settings: Any) -> None:
    settings.TV_LIVE_SERIES = 2
    held, newer, unwatched = (archived(symbol=name) for name in ("AAPL", "MSFT", "TSLA"))
    now = database.now()
    LiveSeries.objects.create(
        series=held, asked_at=now - timedelta(seconds=60), connection="the owner"
    )
    LiveSeries.objects.create(series=newer, asked_at=now)
    LiveSeries.objects.create(series=archived(symbol="AMZN"), asked_at=now - timedelta(seconds=10))
    LiveSeries.objects.create(series=unwatched, asked_at=now - timedelta(minutes=5))

    assert [row.series for row in watched_series("the owner")] == [held, newer]


def test_each_request_counts_for_the_pace_that_the_replies_give(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEB_TRUST_MS = 0
    now = 0.0
    monkeypatch.setattr("datasets.live.live_replies.pace", PollPace(lambda: now))
    series = archived()
    receive(series, range(this_hour() - 1, this_hour() + 1))
    paces = []
    # As many requests as 150 clients send in two paces, then one after them.
    for number in range(301):
        now = 10.0 * number / 300
        paces.append(live(client, series)["poll_s"])

    assert (paces[0], paces[-2], paces[-1]) == (5, 5, 6)
