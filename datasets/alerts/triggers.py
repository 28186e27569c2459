"""Triggers of alerts: one for each alert and bar, with the message that tells it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode

from datasets.alerts.met_bars import MetBar
from datasets.models import IncidentMessage, PriceAlert, database

logger = logging.getLogger(__name__)


def trigger(alert: PriceAlert, met: MetBar) -> bool:
    """Trigger the alert by this bar; return False when it has been triggered by the bar or a newer one.

    Any number of processes may call it for the same bar: a guarded update lets one of them win.
    The message is queued in the same transaction, so a trigger without its message cannot exist.
    """
    now = database.now()
    state = PriceAlert.State.ACTIVE if alert.repeats else PriceAlert.State.TRIGGERED
    values: dict[str, Any] = {
        "state": state,
        "triggered_at": now,
        "triggered_bar": met.opened_at,
        "triggered_price": met.price,
    }
    with transaction.atomic():
        claimed = PriceAlert.objects.filter(
            Q(triggered_bar=None) | Q(triggered_bar__lt=met.opened_at),
            pk=alert.pk,
            state=PriceAlert.State.ACTIVE,
            # An alert that was armed again since it was read is another one.
            armed_at=alert.armed_at,
        )
        if not claimed.update(**values):
            return False
        for name, value in values.items():
            setattr(alert, name, value)
        if settings.INCIDENT_WEBHOOK_URL:
            _queue_message(alert, now)
    logger.info("alert %s triggered by %r: %s", alert.pk, met.price, alert)
    return True


def _queue_message(alert: PriceAlert, now: datetime) -> None:
    """Queue the message of the trigger; messages of earlier ones that were sent are not needed any more."""
    alert.messages.filter(state=IncidentMessage.State.SENT).delete()
    IncidentMessage.objects.create(
        event=IncidentMessage.Event.TRIGGERED,
        way=IncidentMessage.Way.WEBHOOK,
        alert=alert,
        content=_fields_of(alert),
        created_at=now,
        next_attempt_at=now,
    )


def _fields_of(alert: PriceAlert) -> dict[str, Any]:
    """Return the alert and its trigger as plain values, ready for JSON. Instants are ISO 8601, UTC."""
    assert alert.triggered_at is not None
    assert alert.triggered_bar is not None
    key = alert.series.series_key.as_dict()
    names = ("symbol", "exchange", "timeframe", "session", "adjustment")
    query = urlencode({name: key[name] for name in names})
    return {
        "id": alert.pk,
        "series": key,
        "condition": alert.condition,
        "price": alert.price,
        "bars": alert.bars,
        "repeats": alert.repeats,
        "note": alert.note,
        "triggered_at": f"{alert.triggered_at:%Y-%m-%dT%H:%M:%SZ}",
        "bar_time": f"{alert.triggered_bar:%Y-%m-%dT%H:%M:%SZ}",
        "triggered_price": alert.triggered_price,
        "url": f"{settings.SITE_URL}{reverse('chart')}?{query}",
    }
