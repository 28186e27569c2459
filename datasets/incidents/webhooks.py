"""The webhook: a signed POST of JSON, bounded in time and size, without redirects.

The signature follows the Standard Webhooks specification, so that its libraries can check it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from contextlib import closing

import orjson
import requests
from django.conf import settings
from urllib3.exceptions import HTTPError

from datasets.incidents.message_texts import DeliveryFailed, fields_of
from datasets.models import Incident, IncidentMessage
from datasets.storage.bounded_http import (
    BodyTooLarge,
    BodyUnreadable,
    TimeLimit,
    limited_session,
    read_body,
)

# Seconds of silence, and seconds of the whole request.
SILENCE_S = 5.0
DEADLINE_S = 10.0
# A receiver needs to say no more than "accepted".
_MAX_REPLY = 64 * 1024
_BASE64_PREFIX = "whsec_"


def send(message: IncidentMessage, incidents: list[Incident]) -> None:
    """POST the message to `INCIDENT_WEBHOOK_URL`; raise `DeliveryFailed` unless the reply is 2xx."""
    if not settings.INCIDENT_WEBHOOK_URL:
        raise DeliveryFailed("INCIDENT_WEBHOOK_URL is not set any more.")
    body = body_of(message, incidents)
    headers = headers_of(message, body, settings.INCIDENT_WEBHOOK_SECRET)
    limit = TimeLimit(DEADLINE_S)
    try:
        with closing(limit), limit, limited_session(limit) as session:
            response = session.post(
                settings.INCIDENT_WEBHOOK_URL,
                data=body,
                headers=headers,
                timeout=SILENCE_S,
                stream=True,
                allow_redirects=False,
            )
            with response:
                read_body(response, max_bytes=_MAX_REPLY)
                status = response.status_code
    except (BodyTooLarge, BodyUnreadable):
        raise DeliveryFailed("The receiver's reply is too long or cannot be read.") from None
    except (requests.RequestException, HTTPError) as error:
        # Not chained, and without the error's own text: both have the address, which can be secret.
        is_late = limit.is_over or isinstance(error, requests.Timeout)
        reason = "did not answer in time" if is_late else "cannot be reached"
        raise DeliveryFailed(f"The receiver {reason}.") from None
    if limit.is_over:
        raise DeliveryFailed("The receiver did not answer in time.")
    if 300 <= status < 400:
        raise DeliveryFailed(
            f"The receiver redirects (HTTP {status}), and no redirect is followed. "
            "Set INCIDENT_WEBHOOK_URL to the last address."
        )
    if not 200 <= status < 300:
        raise DeliveryFailed(f"The receiver answered HTTP {status}.")


def body_of(message: IncidentMessage, incidents: list[Incident]) -> bytes:
    """Return the request's body: JSON with the event and its incidents, or its alert."""
    if message.event == IncidentMessage.Event.TRIGGERED:
        timestamp = f"{message.created_at:%Y-%m-%dT%H:%M:%SZ}"
        return orjson.dumps(
            {"type": "alert.triggered", "timestamp": timestamp, "alert": message.content}
        )
    document = {
        "type": f"incident.{message.event}",
        "timestamp": f"{message.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "incidents": [fields_of(incident) for incident in incidents],
    }
    return orjson.dumps(document)


def headers_of(message: IncidentMessage, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers with id, time and signature; the id is the same in each attempt."""
    number, now = f"msg_{message.pk}", str(int(time.time()))
    signed = f"{number}.{now}.".encode() + body
    digest = hmac.digest(_key_of(secret), signed, "sha256")
    return {
        "Content-Type": "application/json",
        "User-Agent": "tradingview-datasets",
        "webhook-id": number,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key_of(secret: str) -> bytes:
    """Return the key of the signature; a secret that begins with `whsec_` is base64."""
    if secret.startswith(_BASE64_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_BASE64_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
