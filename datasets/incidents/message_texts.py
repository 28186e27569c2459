"""The texts of a message about incidents: fields of the webhook, and lines of the mail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from datasets.incidents.next_steps import next_step
from datasets.models import Incident, IncidentMessage


class DeliveryFailed(Exception):
    """A receiver did not accept a message; the sentence has no secret and no address."""


def fields_of(incident: Incident) -> dict[str, Any]:
    """Return an incident as plain values, ready for JSON. Instants are ISO 8601, UTC."""
    schedule = incident.schedule
    return {
        "id": incident.pk,
        "kind": incident.kind,
        "source": incident.source,
        "subject": incident.subject,
        "series": None if schedule is None else schedule.series_key.as_dict(),
        "opened_at": _instant(incident.opened_at),
        "closed_at": _instant(incident.closed_at),
        "failures": incident.failures,
        "lag_bars": incident.lag_bars,
        "error_code": incident.error_code or None,
        "error": incident.error_message or None,
        "advice": next_step(incident),
        "url": f"{settings.SITE_URL}{reverse('incidents')}#incident-{incident.pk}",
    }


def subject_of(message: IncidentMessage, incidents: list[Incident]) -> str:
    """Return the subject of the mail: the first incident, and the number of others."""
    begun = message.event == IncidentMessage.Event.OPENED
    more = f" and {len(incidents) - 1} more" if len(incidents) > 1 else ""
    first = incidents[0] if incidents else "incident"
    return f"{'Incident' if begun else 'Over'}: {first}{more}"


def body_of(message: IncidentMessage, incidents: list[Incident]) -> str:
    """Return the text of the mail: one paragraph for each incident."""
    paragraphs = []
    for incident in incidents:
        lines = [str(incident), f"Since {_instant(incident.opened_at)}"]
        if message.event == IncidentMessage.Event.CLOSED:
            lines[-1] += f", over at {_instant(incident.closed_at)}"
        else:
            facts = {
                "Failed fetches in a row": incident.failures,
                "Bars behind": incident.lag_bars,
                "Error": f"{incident.error_code} {incident.error_message}".strip(),
                "What to do": next_step(incident),
            }
            lines += [f"{name}: {value}" for name, value in facts.items() if value]
        paragraphs.append("\n".join(lines))
    link = f"{settings.SITE_URL}{reverse('incidents')}"
    return "\n\n".join([*paragraphs, f"All incidents: {link}"])


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
