"""The mail about incidents, sent by Django's mail settings."""

from __future__ import annotations

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from datasets.incidents.message_texts import DeliveryFailed, body_of, subject_of
from datasets.models import Incident, IncidentMessage


def send(message: IncidentMessage, incidents: list[Incident]) -> None:
    """Send the message to `INCIDENT_MAIL_TO`; raise `DeliveryFailed` when the server does not take it."""
    if not settings.INCIDENT_MAIL_TO:
        raise DeliveryFailed("INCIDENT_MAIL_TO is not set any more.")
    mail = EmailMessage(
        subject_of(message, incidents),
        body_of(message, incidents),
        to=settings.INCIDENT_MAIL_TO,
    )
    try:
        mail.send()
    except TimeoutError:
        raise DeliveryFailed("The mail server did not answer in time.") from None
    except SMTPException as error:
        # Without the server's text, which can repeat addresses and credentials.
        code = getattr(error, "smtp_code", "")
        raise DeliveryFailed(
            f"The mail server refused the mail: {type(error).__name__} {code}".strip() + "."
        ) from None
    except OSError as error:
        raise DeliveryFailed(
            f"The mail server cannot be reached: {error.strerror or type(error).__name__}."
        ) from None
