"""Incidents: a failure that lasts opens one, its end closes it, whoever looks and however often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from threading import Thread
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from datasets.errors import AuthFailed, FetchError, all_codes
from datasets.fetching import credentials, workers
from datasets.incidents import is_worker_seen, next_step, update_incidents
from datasets.incidents.next_steps import BY_CODE
from datasets.models import Fetch, Incident, IncidentMessage, Schedule, SignIn
from datasets.watchlists.series_plans import LISTS_PAUSED
from tests.incidents.conftest import NO_DATA, MakeSchedule
from tests.support.factories import a_key
from tests.support.receivers import HttpReceiver
from tests.support.stacks import wait_until

pytestmark = pytest.mark.django_db
Move = Callable[[timedelta], None]


def opened() -> list[tuple[str, str]]:
    found = Incident.objects.filter(closed_at=None).order_by("pk")
    return [(each.kind, each.subject) for each in found]


def test_a_series_whose_fetches_fail_is_one_incident_until_a_fetch_succeeds(
    make_schedule: MakeSchedule,
) -> None:
    schedule = make_schedule(failures=2, last_error=NO_DATA)
    make_schedule("ETHUSDT", failures=0)
    update_incidents()
    before = opened()

    for failures in (3, 4):
        Schedule.objects.filter(pk=schedule.pk).update(failures=failures)
        update_incidents()

    assert before == []
    [incident] = Incident.objects.all()
    assert opened() == [("series_failing", "BINANCE:BTCUSDT 1h")]
    assert (incident.failures, incident.error_code) == (4, "no_data")
    assert incident.error_message == "TradingView has no bars of this symbol."
    assert "listing may have ended" in next_step(incident)

    Schedule.objects.update(failures=0, last_error="")
    update_incidents()
    update_incidents()
    assert opened() == []
    Schedule.objects.update(failures=3, last_error=NO_DATA)
    update_incidents()
    assert Incident.objects.count() == 3


def test_a_series_that_the_schedule_has_given_up_is_an_incident_at_once(
    make_schedule: MakeSchedule,
) -> None:
    make_schedule(failures=2, is_paused=True, pause_reason="TradingView did not find the symbol.")
    make_schedule("ETHUSDT", failures=9, is_paused=True, pause_reason=LISTS_PAUSED)

    update_incidents()

    assert opened() == [("series_failing", "BINANCE:BTCUSDT 1h")]


def test_a_series_far_behind_is_an_incident_until_it_has_caught_up(
    make_schedule: MakeSchedule, settings: Any
) -> None:
    settings.INCIDENT_LAG_BARS = 5
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    make_schedule("NEAR", last_time=now - timedelta(hours=3))
    late = make_schedule("LATE", last_time=now - timedelta(hours=30))

    update_incidents()
    incident = Incident.objects.get()
    assert opened() == [("series_behind", "BINANCE:LATE 1h")]
    assert incident.lag_bars is not None
    assert incident.lag_bars >= 28

    assert late.series is not None
    late.series.last_time, late.series.fetched_at = now - timedelta(hours=1), now
    late.series.save()
    update_incidents()
    assert opened() == []


def test_each_limit_can_be_turned_off(make_schedule: MakeSchedule, settings: Any) -> None:
    settings.INCIDENT_FAILURES = settings.INCIDENT_LAG_BARS = 0
    make_schedule(failures=9, last_time=datetime(2025, 1, 1, tzinfo=UTC))

    update_incidents()

    assert opened() == []


def test_a_refused_sign_in_is_one_incident_and_not_one_for_each_series(
    make_schedule: MakeSchedule, settings: Any
) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "ada", "wrong"
    SignIn.objects.create(pk=SignIn.SINGLETON)
    for number in range(3):
        make_schedule(f"S{number}", failures=5, last_error="auth_failed: The password is wrong.")
    make_schedule("OTHER", failures=5, last_error=NO_DATA)
    credentials.note_refusal(AuthFailed("TradingView refused the user name or the password."))

    update_incidents()

    assert opened() == [
        ("sign_in", "TradingView"),
        ("series_failing", "BINANCE:OTHER 1h"),
    ]
    settings.TV_PASSWORD = "right"
    Schedule.objects.update(failures=0, last_error="")
    update_incidents()
    assert opened() == []


def test_an_auth_token_that_expired_is_noticed_by_the_newest_fetch(db: None) -> None:
    values = {"error_code": "auth_expired", "error_message": "The token is not accepted any more."}
    Fetch.objects.create(**a_key().as_dict(), state="failed", **values)

    update_incidents()

    assert opened() == [("sign_in", "TradingView")]
    Fetch.objects.create(**a_key().as_dict(), state="succeeded")
    update_incidents()
    assert opened() == []


def test_the_end_of_a_watchlist_ends_its_incidents(make_schedule: MakeSchedule) -> None:
    schedule = make_schedule(failures=3, last_error=NO_DATA)
    update_incidents()

    schedule.delete()
    update_incidents()

    incident = Incident.objects.get()
    assert (incident.subject, incident.is_open) == ("BINANCE:BTCUSDT 1h", False)


@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_the_same_time_open_one_incident(
    make_schedule: MakeSchedule, webhook: HttpReceiver
) -> None:
    make_schedule(failures=3, last_error=NO_DATA)

    def look() -> None:
        update_incidents()
        connection.close()

    for _ in range(2):
        threads = [Thread(target=look) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        Schedule.objects.update(failures=0)

    said = IncidentMessage.objects.order_by("pk").values_list("event", "way")
    assert Incident.objects.count() == 1
    assert list(said) == [("opened", "webhook"), ("closed", "webhook")]


@pytest.mark.django_db(transaction=True)
def test_a_web_process_tells_that_no_worker_is_alive(
    client: Client, webhook: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.incidents.delivery._begun", float("-inf"))
    assert "worker" in client.get("/readyz").json()["missing"]
    assert not Incident.objects.exists()
    long_ago = datetime.now(UTC) - timedelta(minutes=2)
    fetch = Fetch.objects.create(**a_key().as_dict(), requested_at=long_ago)

    client.get("/readyz")
    client.get(f"/api/tv/fetches/{fetch.pk}")

    assert opened() == [("no_worker", "fetches from sample")]
    wait_until(lambda: webhook.received, what="the webhook of a web process")
    wait_until(lambda: IncidentMessage.objects.get().state == "sent", what="the note on its row")
    workers.note_alive("a worker")
    assert is_worker_seen("sample")
    update_incidents()
    assert opened() == []


def test_a_fetch_that_has_just_been_queued_is_no_incident(db: None) -> None:
    Fetch.objects.create(**a_key().as_dict())

    assert not is_worker_seen("sample")

    assert opened() == []


def test_every_error_of_a_fetch_has_a_next_step() -> None:
    codes = {code for code, error in all_codes().items() if issubclass(error, FetchError)}

    assert codes == set(BY_CODE)


def test_tidy_deletes_old_incidents_with_their_messages(
    make_schedule: MakeSchedule, webhook: HttpReceiver
) -> None:
    make_schedule(failures=3, last_error=NO_DATA)
    update_incidents()
    out = StringIO()

    call_command("tidy", "--older-than", "0d", stdout=out)
    still_open = Incident.objects.count()
    Schedule.objects.update(failures=0)
    update_incidents()
    call_command("tidy", "--older-than", "0d", stdout=out)

    assert (still_open, Incident.objects.count(), IncidentMessage.objects.count()) == (1, 0, 0)
