"""Delivery of the messages about incidents and alerts: each is sent, or tried again later from its row."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from django.db import Error, connection
from django.db.models import F

from datasets.incidents import mails, webhooks
from datasets.incidents.message_texts import DeliveryFailed
from datasets.models import IncidentMessage, database

logger = logging.getLogger(__name__)

# Longer than one attempt can take: then the process that sent it counts as dead.
_LEASE = timedelta(minutes=5)
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)
_GIVEN_UP_AFTER = timedelta(days=1)
_AT_A_TIME = 20
_BACKGROUND_EVERY_S = 10.0
_SEND = {
    IncidentMessage.Way.WEBHOOK.value: webhooks.send,
    IncidentMessage.Way.MAIL.value: mails.send,
}


def deliver_due() -> int:
    """Send the messages that are due, oldest first; return the number that were accepted.

    Any number of processes may call it at the same time: a guarded update gives each message to
    one of them. A process that dies while it sends leaves the message to another one, so a
    receiver can get a message twice; its id is then the same.
    """
    now = database.now()
    due = IncidentMessage.objects.filter(
        state=IncidentMessage.State.WAITING, next_attempt_at__lte=now
    )
    n_sent = 0
    for message in list(due.order_by("pk")[:_AT_A_TIME]):
        if _is_early(message):
            continue
        claimed = due.filter(pk=message.pk, attempts=message.attempts).update(
            attempts=F("attempts") + 1, next_attempt_at=now + _LEASE
        )
        if claimed:
            message.attempts += 1
            n_sent += _attempt(message)
    return n_sent


def _is_early(message: IncidentMessage) -> bool:
    """Return whether the message tells an end whose beginning has not been told yet."""
    beginnings = IncidentMessage.objects.filter(
        way=message.way,
        event=IncidentMessage.Event.OPENED,
        state=IncidentMessage.State.WAITING,
        incidents__in=message.incidents.all(),
    )
    return message.event == IncidentMessage.Event.CLOSED and beginnings.exists()


def deliver_in_background() -> None:
    """Send the due messages in a thread, at most every ten seconds; for web processes."""
    global _begun
    with _lock:
        if time.monotonic() < _begun + _BACKGROUND_EVERY_S:
            return
        _begun = time.monotonic()
    threading.Thread(target=_deliver_once, name="incident-messages", daemon=True).start()


_lock = threading.Lock()
_begun = float("-inf")


def _deliver_once() -> None:
    try:
        deliver_due()
    except Error as error:
        logger.warning("the messages about incidents were not read: %s", error)
    finally:
        # The thread ends, and nobody else could use its connection.
        connection.close()


def _attempt(message: IncidentMessage) -> bool:
    """Send the message once, and note the outcome on its row; the pause before the next attempt doubles."""
    incidents = list(message.incidents.order_by("pk"))
    # The conversation takes seconds and uses no database connection.
    database.give_connection_back()
    row = IncidentMessage.objects.filter(pk=message.pk, state=IncidentMessage.State.WAITING)
    try:
        _SEND[message.way](message, incidents)
    except DeliveryFailed as error:
        logger.warning("message %s was not sent: %s", message, error)
        now = database.now()
        if now - message.created_at >= _GIVEN_UP_AFTER:
            row.update(last_error=str(error), state=IncidentMessage.State.GIVEN_UP)
            return False
        pause = min(_FIRST_PAUSE * 2 ** min(message.attempts - 1, 10), _LONGEST_PAUSE)
        row.update(last_error=str(error), next_attempt_at=now + pause)
        return False
    row.update(state=IncidentMessage.State.SENT, sent_at=database.now(), last_error="")
    return True
