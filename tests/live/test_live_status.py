"""The state of the live connection: API, status page, admin, metrics, health and incident."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from datasets.incidents import update_incidents
from datasets.live.connection_lease import LEASE
from datasets.models import Incident, LiveConnection, LiveSeries, database
from datasets.serving import health_checks
from tests.live.test_joined_bars import archived, receive, this_hour

pytestmark = pytest.mark.django_db
FAILURE = "feed_closed: TradingView closed the connection."
TOKEN = "a-token-of-24-characters"


@pytest.fixture(autouse=True)
def live_is_on(settings: Any) -> None:
    settings.TV_LIVE = True


def connect(**values: Any) -> datetime:
    """Write a followed series and a connection of five minutes' age; return the present instant."""
    now = database.now()
    receive(archived(), range(this_hour() - 3, this_hour() + 1), watched_since=now - timedelta(minutes=9))  # fmt: skip
    five_ago = now - timedelta(minutes=5)
    row = {
        "host": "here", "held_since": five_ago, "connected_at": five_ago, "n_opened": 3,
        "failed_at": five_ago, "failure": FAILURE, "lease_until": now + timedelta(minutes=5),
    }  # fmt: skip
    LiveConnection.objects.update(**row | values)
    return now


def shown(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/tv/status").json()["live"]
    return found


def test_api_page_admin_and_metrics_show_the_connection(
    settings: Any, client: Client, admin_client: Client
) -> None:
    assert shown(client) | {"n_most": 0} == shown(client) | {"state": "not_running", "n_most": 0}
    settings.METRICS_TOKEN = TOKEN
    connect()

    live = shown(client)
    page = client.get("/status/").content.decode()
    rows = admin_client.get("/admin/datasets/liveconnection/").content.decode()
    series = admin_client.get("/admin/datasets/liveseries/").content.decode()
    metrics = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()

    assert (live["state"], live["host"], live["failure"]) == ("connected", "here", FAILURE)
    assert (live["n_followed"], live["n_watched"], live["n_opened"]) == (1, 1, 3)
    assert f"1 of 1 watched, at most {settings.TV_LIVE_SERIES}" in page
    assert f"5 min ago: {FAILURE}" in page
    assert FAILURE in rows
    assert "AAPL" in series
    for line in ("tv_live_connected 1.0", "tv_live_followed_series 1.0", "tv_live_opened 3.0"):
        assert f"\n{line}\n" in metrics


def test_a_lost_connection_an_idle_process_and_a_dead_one_have_their_own_states(
    client: Client,
) -> None:
    now = connect(connected_at=None)
    assert (shown(client)["state"], shown(client)["n_followed"]) == ("connecting", 0)

    LiveSeries.objects.update(asked_at=now - timedelta(minutes=2))
    assert shown(client)["state"] == "idle"

    LiveConnection.objects.update(lease_until=now - LEASE)
    assert (shown(client)["state"], shown(client)["held_since"]) == ("not_running", None)


def test_a_missing_connection_in_an_open_market_is_one_incident() -> None:
    now = connect(connected_at=None, lost_at=None, error_code="feed_closed", error_message="It ended.")  # fmt: skip

    LiveConnection.objects.update(lost_at=now - timedelta(minutes=2))
    update_incidents()
    assert not Incident.objects.exists()
    LiveConnection.objects.update(lost_at=now - timedelta(minutes=4))
    update_incidents()
    update_incidents()
    [incident] = Incident.objects.all()
    assert (incident.kind, incident.error_code) == ("no_live", "feed_closed")

    # A new connection ends it.
    LiveConnection.objects.update(connected_at=now)
    update_incidents()
    assert not Incident.objects.filter(closed_at=None).exists()


def test_neither_a_closed_market_nor_a_new_watch_is_an_incident() -> None:
    now = connect(connected_at=None, lost_at=None, lease_until=None)
    series = LiveSeries.objects.get().series
    series.instrument = {"session_hours": "24x7", "timezone": "Etc/UTC", "session_holidays": f"{now:%Y%m%d}"}  # fmt: skip
    series.save()
    update_incidents()
    assert not Incident.objects.exists()

    series.instrument = {"session_hours": "24x7", "timezone": "Etc/UTC"}
    series.save()
    LiveSeries.objects.update(watched_since=now)
    update_incidents()
    assert not Incident.objects.exists()

    LiveSeries.objects.update(watched_since=now - timedelta(minutes=4))
    update_incidents()
    assert "manage.py live" in Incident.objects.get().error_message


def test_the_health_check_fails_half_a_minute_after_the_last_holder(settings: Any) -> None:
    now = connect(lease_until=database.now() - timedelta(seconds=10))
    health_checks.check_live()

    LiveConnection.objects.update(lease_until=now - timedelta(seconds=40))
    with pytest.raises(health_checks.Problem, match=r"manage\.py live"):
        health_checks.check_live()
    settings.TV_LIVE = False
    health_checks.check_live()
