"""Settings of webhook and mail: what is missing is named at the start, and no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest

from datasets.checks import check_webhook
from tests.system.test_settings import django_settings
from tvproject.secrecy import STARS, without_secrets


@pytest.mark.parametrize(("secret", "ids"), [("", ["datasets.E003"]), ("short", ["datasets.E003"]), ("x" * 16, [])])  # fmt: skip
def test_a_webhook_without_a_good_secret_stops_the_start(
    secret: str, ids: list[str], settings: Any
) -> None:
    settings.INCIDENT_WEBHOOK_URL = "https://alerts.example.com/hook"
    settings.INCIDENT_WEBHOOK_SECRET = secret

    assert [each.id for each in check_webhook(None)] == ids


def test_the_path_of_a_webhook_is_masked_and_its_host_is_not(settings: Any) -> None:
    address = "https://ada:pass-word@alerts.example.com/hooks/T000/B000?key=abcdefghijkl"
    settings.ENV = settings.ENV | {"INCIDENT_WEBHOOK_URL": address}

    shown = without_secrets(f"POST {address} failed")

    assert shown == f"POST https://ada:{STARS}@alerts.example.com{STARS}?{STARS} failed"


@pytest.mark.parametrize(
    ("security", "flags"), [("starttls", ["True", "False"]), ("tls", ["False", "True"]), ("none", ["False", "False"])]
)  # fmt: skip
def test_a_mail_server_is_used_with_the_chosen_encryption(security: str, flags: list[str]) -> None:
    names = ("EMAIL_BACKEND", "EMAIL_USE_TLS", "EMAIL_USE_SSL")
    found = django_settings(*names, EMAIL_HOST="mail.example.com", EMAIL_SECURITY=security)

    assert found == ["'django.core.mail.backends.smtp.EmailBackend'", *flags]


def test_without_a_mail_server_the_log_shows_the_mails() -> None:
    assert django_settings("EMAIL_BACKEND") == ["'django.core.mail.backends.console.EmailBackend'"]
