"""The log of incidents: each failure opens one, its end closes it, and both queue messages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from datasets.fetching import workers
from datasets.incidents import delivery
from datasets.incidents.conditions import NO_WORKER_TOPIC, Condition, find_conditions
from datasets.models import Fetch, Incident, IncidentMessage, database

logger = logging.getLogger(__name__)

# Incidents of one message; more incidents that begin together need several messages.
_MOST_TOGETHER = 100
# A service that starts has fetches before it has a worker.
_PATIENCE = timedelta(minutes=1)


def update_incidents() -> None:
    """Open and close the incidents of the own source, as its failures are now.

    Any number of workers may call it at the same time: one of them opens, and one closes. The
    caller is a living worker, so this also ends the incident that none is alive.
    """
    conditions = {each.topic: each for each in find_conditions(database.now())}
    is_open = Incident.objects.filter(source=settings.TV_SOURCE, closed_at=None)
    held = {each.topic: each for each in is_open}
    for topic in held.keys() & conditions.keys():
        incident, values = held[topic], _values(conditions[topic])
        if any(getattr(incident, name) != value for name, value in values.items()):
            Incident.objects.filter(pk=incident.pk, closed_at=None).update(**values)
    over = [held[topic] for topic in held.keys() - conditions.keys()]
    if over:
        _close(over)
    new = [condition for topic, condition in conditions.items() if topic not in held]
    if new:
        _open(new)


def is_worker_seen(source: str) -> bool:
    """Return whether a living worker takes fetches of `source`.

    Where none does and a fetch has waited for a minute, an incident opens. Then this process sends
    its message too: no worker is there to do it.
    """
    if workers.is_any_alive(source):
        return True
    long_ago = database.now() - _PATIENCE
    queued = Fetch.objects.filter(source=source, state=Fetch.State.QUEUED)
    if queued.filter(requested_at__lt=long_ago).exists():
        topic = {"source": source, "topic": NO_WORKER_TOPIC, "closed_at": None}
        if not Incident.objects.filter(**topic).exists():
            subject = f"fetches from {source}"
            no_worker = Condition(
                Incident.Kind.NO_WORKER, NO_WORKER_TOPIC, subject, error_message=workers.NONE_SEEN
            )
            _open([no_worker], source=source)
        delivery.deliver_in_background()
    return False


def _open(conditions: Sequence[Condition], *, source: str = "") -> None:
    """Open an incident for each condition, unless another process has opened it just now."""
    opened = []
    with transaction.atomic():
        for condition in conditions:
            with suppress(IntegrityError), transaction.atomic():
                opened.append(
                    Incident.objects.create(
                        topic=condition.topic,
                        subject=condition.subject,
                        schedule_id=condition.schedule_id,
                        source=source or settings.TV_SOURCE,
                        opened_at=database.now(),
                        **_values(condition),
                    )
                )
        _queue_messages(opened, IncidentMessage.Event.OPENED)
    for incident in opened:
        logger.warning("incident %s opened: %s. %s", incident.pk, incident, incident.error_message)


def _close(incidents: Sequence[Incident]) -> None:
    closed = []
    with transaction.atomic():
        for incident in incidents:
            # One process closes: for the others the row is closed already.
            still_open = Incident.objects.filter(pk=incident.pk, closed_at=None)
            if still_open.update(closed_at=database.now()):
                closed.append(incident)
        _queue_messages(closed, IncidentMessage.Event.CLOSED)
    for incident in closed:
        logger.info("incident %s is over: %s", incident.pk, incident)


def _values(condition: Condition) -> dict[str, int | str | None]:
    """Return the columns that change while an incident lasts."""
    return {
        "kind": condition.kind,
        "failures": condition.failures,
        "lag_bars": condition.lag_bars,
        "error_code": condition.error_code,
        "error_message": condition.error_message,
    }


def _queue_messages(incidents: Sequence[Incident], event: IncidentMessage.Event) -> None:
    """Queue the messages about incidents that began or ended together, for each way that is set up."""
    ways = [
        way
        for way, is_set_up in [
            (IncidentMessage.Way.WEBHOOK, settings.INCIDENT_WEBHOOK_URL),
            (IncidentMessage.Way.MAIL, settings.INCIDENT_MAIL_TO),
        ]
        if is_set_up
    ]
    for first in range(0, len(incidents), _MOST_TOGETHER):
        for way in ways:
            now = database.now()
            message = IncidentMessage.objects.create(
                event=event, way=way, created_at=now, next_attempt_at=now
            )
            message.incidents.set(incidents[first : first + _MOST_TOGETHER])
