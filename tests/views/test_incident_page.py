"""The page of incidents, and the hint to staff that one is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets.models import AuditEntry, Incident, IncidentMessage

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def an_incident(number: int = 1, **values: Any) -> Incident:
    given = {
        "kind": "series_failing", "source": "sample", "topic": f"schedule-{number}", "failures": 3,
        "subject": f"BINANCE:S{number} 1h", "opened_at": NOW, "error_code": "no_data",
        "error_message": "TradingView has no bars of this symbol.",
    }  # fmt: skip
    return Incident.objects.create(**given | values)


def test_open_incidents_come_first_with_cause_and_next_step(operator: Client) -> None:
    an_incident(1, closed_at=NOW + timedelta(hours=2))
    an_incident(2, opened_at=NOW - timedelta(days=1))

    page = operator.get("/incidents/").content.decode()

    assert page.index("BINANCE:S2 1h") < page.index("BINANCE:S1 1h")
    assert "1 open" in page
    assert "after 2 h" in page
    assert "the listing may have ended" in page


@pytest.mark.parametrize(("query", "n"), [("?state=open", 1), ("?state=over", 2), ("?q=s3", 1), ("?q=no_data", 3), ("?state=x", 0)])  # fmt: skip
def test_the_list_is_filtered(query: str, n: int, operator: Client) -> None:
    an_incident(1)
    for number in (2, 3):
        an_incident(number, closed_at=NOW)

    page = operator.get(f"/incidents/{query}").content.decode()

    assert page.count('class="incident"') == n


def test_only_staff_see_how_messages_were_delivered(operator: Client) -> None:
    message = IncidentMessage.objects.create(
        event="opened", way="webhook", attempts=2, last_error="The receiver answered HTTP 500."
    )
    message.incidents.set([an_incident()])

    for_staff = operator.get("/incidents/").content.decode()
    operator.logout()
    for_others = operator.get("/incidents/").content.decode()

    assert "Webhook about the beginning: not sent after 2 attempts." in for_staff
    assert "The receiver answered HTTP 500." in for_staff
    assert "HTTP 500" not in for_others
    assert "BINANCE:S1 1h" in for_others


def test_every_page_shows_staff_a_hint_while_an_incident_is_open(operator: Client) -> None:
    for number in range(1, 6):
        an_incident(number)

    page = operator.get("/series/").content.decode()
    Incident.objects.update(closed_at=NOW)
    afterwards = operator.get("/series/").content.decode()

    assert "5 incidents are open" in page
    assert "series failing: BINANCE:S1 1h; " in page
    assert "incident" not in afterwards.partition("<main")[0].partition("</header>")[2]


def test_visitors_see_no_hint_and_cause_no_query_for_it(client: Client, db: None) -> None:
    an_incident()

    with CaptureQueriesContext(connection) as queries:
        page = client.get("/series/").content.decode()

    assert "is open" not in page
    assert not [each for each in queries if "incident" in each["sql"]]


def test_the_page_makes_few_queries(operator: Client) -> None:
    for number in range(30):
        an_incident(number)
    message = IncidentMessage.objects.create(event="opened", way="mail")
    message.incidents.set(Incident.objects.all())

    with CaptureQueriesContext(connection) as queries:
        operator.get("/incidents/")

    assert len(queries) <= 8


def test_a_message_that_was_given_up_is_sent_again_by_staff(operator: Client) -> None:
    message = IncidentMessage.objects.create(event="opened", way="mail", state="given_up")
    chosen = {"action": "send_again", "_selected_action": [message.pk]}

    page = operator.post("/admin/datasets/incidentmessage/", chosen, follow=True).content.decode()

    message.refresh_from_db()
    assert "1 to be sent" in page
    assert message.state == "waiting"
    assert AuditEntry.objects.get().actor == "ada"
    assert operator.get(f"/admin/datasets/incident/{an_incident().pk}/change/").status_code == 200
