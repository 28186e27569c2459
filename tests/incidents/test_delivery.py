"""Messages about incidents: signed webhooks and mails to real receivers, which may be broken."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import connection

from datasets.incidents import update_incidents, webhooks
from datasets.incidents.delivery import deliver_due
from datasets.models import IncidentMessage, Schedule, database
from tests.incidents.conftest import NO_DATA, SECRET, MakeSchedule
from tests.support import receivers
from tests.support.receivers import HttpReceiver, MailReceiver
from tests.support.stacks import free_port

pytestmark = pytest.mark.django_db
Move = Callable[[timedelta], None]
GUIDE = Path(__file__).parents[2] / "docs" / "incidents.md"


@pytest.fixture
def failing(make_schedule: MakeSchedule) -> Schedule:
    return make_schedule(failures=3, last_error=NO_DATA)


def begin() -> IncidentMessage:
    """Open the incident, and return its only message."""
    update_incidents()
    return IncidentMessage.objects.get()


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Run the check that the guide shows to receivers."""
    [snippet] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    names: dict[str, Any] = {}
    exec(snippet, names)
    checked: bool = names["is_genuine"](secret, headers, body)
    return checked


def test_a_webhook_is_sent_once_and_once_when_it_is_over(
    failing: Schedule, webhook: HttpReceiver
) -> None:
    update_incidents()
    numbers = [deliver_due(), deliver_due()]
    update_incidents()
    Schedule.objects.update(failures=0, last_error="")
    update_incidents()
    numbers += [deliver_due(), deliver_due()]

    assert numbers == [1, 0, 1, 0]
    begun, over = (json.loads(request.body) for request in webhook.received)
    [incident] = begun["incidents"]
    assert (begun["type"], over["type"]) == ("incident.opened", "incident.closed")
    assert incident["series"]["symbol"] == "BTCUSDT"
    assert (incident["kind"], incident["failures"]) == ("series_failing", 3)
    assert (incident["error_code"], incident["closed_at"]) == ("no_data", None)
    assert incident["advice"]
    assert incident["url"].startswith("http://127.0.0.1:8000/incidents/#incident-")
    assert over["incidents"][0]["closed_at"] >= incident["opened_at"]


def test_a_receiver_can_check_the_signature_as_the_guide_says(
    failing: Schedule, webhook: HttpReceiver
) -> None:
    begin()
    deliver_due()

    [request] = webhook.received
    assert is_signed(SECRET, request.headers, request.body)
    assert not is_signed("another secret", request.headers, request.body)
    assert not is_signed(SECRET, request.headers, request.body + b" ")
    old = request.headers | {"webhook-timestamp": "1700000000"}
    assert not is_signed(SECRET, old, request.body)


def test_a_secret_in_base64_is_a_key_as_the_libraries_expect(failing: Schedule) -> None:
    message = IncidentMessage(pk=7)
    plain = webhooks.headers_of(message, b"{}", "sixteen or more!")
    encoded = webhooks.headers_of(message, b"{}", "whsec_c2l4dGVlbiBvciBtb3JlIQ==")

    assert plain["webhook-signature"] == encoded["webhook-signature"]


BROKEN: dict[str, tuple[Callable[..., None], str]] = {
    "500": (receivers.status(500), "The receiver answered HTTP 500."),
    "404": (receivers.status(404), "The receiver answered HTTP 404."),
    "redirect": (receivers.status(307, Location="/elsewhere"), "no redirect is followed"),
    "hangs": (HttpReceiver.hang, "did not answer in time"),
    "drips": (HttpReceiver.drip, "did not answer in time"),
    "endless": (receivers.endless, "too long"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_receiver_gets_the_message_later(
    name: str,
    failing: Schedule,
    webhook: HttpReceiver,
    later: Move,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "SILENCE_S", 0.3)
    monkeypatch.setattr(webhooks, "DEADLINE_S", 0.6)
    answer, sentence = BROKEN[name]
    # Two of the answers last until the receiver ends.
    of_receiver = answer in (HttpReceiver.hang, HttpReceiver.drip)
    webhook.answer = partial(answer, webhook) if of_receiver else answer
    message = begin()

    assert deliver_due() == 0
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("waiting", 1)
    assert sentence in message.last_error
    # Not before the pause is over.
    assert deliver_due() == 0
    webhook.answer = receivers.accept
    later(timedelta(seconds=31))
    assert deliver_due() == 1

    message.refresh_from_db()
    assert (message.state, message.attempts, message.last_error) == ("sent", 2, "")
    assert [request.path for request in webhook.received] == ["/hook", "/hook"]
    ids = {request.headers["webhook-id"] for request in webhook.received}
    assert len(ids) == 1


def test_a_receiver_that_is_away_is_tried_for_a_day_with_longer_pauses(
    failing: Schedule, settings: Any, later: Move
) -> None:
    settings.INCIDENT_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/hooks/T000/very-secret-path"
    settings.INCIDENT_WEBHOOK_SECRET = SECRET
    message = begin()

    pauses = []
    while message.state == "waiting":
        deliver_due()
        message.refresh_from_db()
        pause = message.next_attempt_at - database.now()
        pauses.append(round(pause.total_seconds()))
        later(pause + timedelta(seconds=1))

    assert pauses[:8] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert message.state == "given_up"
    assert 28 <= message.attempts <= 34
    assert message.last_error == "The receiver cannot be reached."


def test_the_end_is_told_after_the_beginning(
    failing: Schedule, webhook: HttpReceiver, later: Move
) -> None:
    webhook.answer = receivers.status(503)
    begin()
    deliver_due()
    Schedule.objects.update(failures=0)
    update_incidents()
    webhook.answer = receivers.accept

    assert deliver_due() == 0
    later(timedelta(seconds=31))
    assert deliver_due() == 2

    types = [json.loads(request.body)["type"] for request in webhook.received]
    assert types == ["incident.opened", "incident.opened", "incident.closed"]


def test_incidents_that_begin_together_are_one_message_of_each_way(
    make_schedule: MakeSchedule, webhook: HttpReceiver, mailbox: MailReceiver
) -> None:
    for number in range(120):
        make_schedule(f"S{number}", failures=3, last_error=NO_DATA)

    update_incidents()
    assert deliver_due() == 4

    told = [len(json.loads(request.body)["incidents"]) for request in webhook.received]
    assert told == [100, 20]
    assert len(mailbox.mails) == 2
    assert "and 99 more" in mailbox.mails[0]["Subject"]


def test_a_mail_tells_what_failed_and_what_to_do(failing: Schedule, mailbox: MailReceiver) -> None:
    update_incidents()
    assert deliver_due() == 1
    Schedule.objects.update(failures=0)
    update_incidents()
    assert deliver_due() == 1

    begun, over = mailbox.mails
    assert (begun["From"], begun["To"]) == ("datasets@example.com", "ops@example.com")
    assert begun["Subject"] == "Incident: series failing: BINANCE:BTCUSDT 1h"
    assert over["Subject"] == "Over: series failing: BINANCE:BTCUSDT 1h"
    text = begun.get_content()
    for part in ("Failed fetches in a row: 3", "no_data TradingView has no bars", "What to do: ", "/incidents/"):  # fmt: skip
        assert part in text
    assert "over at " in over.get_content()


@pytest.mark.parametrize("kind", ["refuses", "is away"])
def test_a_mail_server_that_does_not_work_gets_the_mail_later(
    kind: str, failing: Schedule, mailbox: MailReceiver, settings: Any, later: Move
) -> None:
    port = settings.EMAIL_PORT
    if kind == "refuses":
        mailbox.refusal = "451 ops@example.com: try again later, secret-word"
    else:
        settings.EMAIL_PORT = free_port()
    message = begin()

    assert deliver_due() == 0
    message.refresh_from_db()
    assert message.last_error.startswith("The mail server ")
    assert "secret-word" not in message.last_error
    settings.EMAIL_PORT, mailbox.refusal = port, ""
    later(timedelta(seconds=31))
    assert deliver_due() == 1
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("way", ["webhook", "mail"])
def test_a_message_waits_while_its_way_is_not_set_up_any_more(way: str, failing: Schedule) -> None:
    message = IncidentMessage.objects.create(event="opened", way=way)

    assert deliver_due() == 0

    message.refresh_from_db()
    assert message.state == "waiting"
    assert message.last_error.endswith("is not set any more.")


def test_without_a_webhook_and_a_mail_address_nothing_is_queued(failing: Schedule) -> None:
    update_incidents()

    assert not IncidentMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_message_is_sent_once_by_several_workers(
    make_schedule: MakeSchedule, webhook: HttpReceiver
) -> None:
    make_schedule(failures=3, last_error=NO_DATA)
    update_incidents()

    def deliver() -> None:
        deliver_due()
        connection.close()

    threads = [Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(webhook.received) == 1


def test_a_worker_that_dies_while_it_sends_leaves_the_message_to_another(
    failing: Schedule, webhook: HttpReceiver, later: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = begin()
    with monkeypatch.context() as patched:
        patched.setattr("datasets.incidents.delivery._attempt", lambda message: False)
        deliver_due()

    assert deliver_due() == 0
    later(timedelta(minutes=6))
    assert deliver_due() == 1
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("sent", 2)


def test_no_secret_is_in_a_row_or_in_the_log(
    failing: Schedule, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.INCIDENT_WEBHOOK_URL = (
        f"http://ada:pass-word@127.0.0.1:{free_port()}/hooks/T000?key=query-secret"
    )
    settings.INCIDENT_WEBHOOK_SECRET = SECRET

    begin()
    deliver_due()

    said = caplog.text + str(list(IncidentMessage.objects.values()))
    for secret in ("pass-word", "query-secret", SECRET):
        assert secret not in said
