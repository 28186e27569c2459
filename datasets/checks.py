"""System checks at start-up: wrong settings are reported before any bars are fetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from tvproject.privacy import is_private


@register()
def check_time_zone(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Require UTC: tvDatafeed and Django both use the time zone of the process."""
    if settings.TIME_ZONE == "UTC" and settings.USE_TZ:
        return []
    return [
        Error(
            "TIME_ZONE is not 'UTC', or USE_TZ is off.",
            hint="All times of the service are UTC: set TIME_ZONE to 'UTC' and USE_TZ to True.",
            id="datasets.E001",
        )
    ]


@register()
def check_sign_in(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Require user name and password together: one without the other cannot sign in."""
    if bool(settings.TV_USERNAME) == bool(settings.TV_PASSWORD):
        return []
    return [
        Error(
            "Only one of TV_USERNAME and TV_PASSWORD is set.",
            hint="Set both or none.",
            id="datasets.E002",
        )
    ]


@register()
def check_webhook(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Require a secret for the webhook: without one a receiver cannot know the sender."""
    if not settings.INCIDENT_WEBHOOK_URL or len(settings.INCIDENT_WEBHOOK_SECRET) >= 16:
        return []
    return [
        Error(
            "INCIDENT_WEBHOOK_URL is set, and INCIDENT_WEBHOOK_SECRET is missing or short.",
            hint="Set INCIDENT_WEBHOOK_SECRET to sixteen or more random characters, which the receiver has too.",
            id="datasets.E003",
        )
    ]


@register()
def check_state_is_private(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn if other users can read the state folder, which holds sessions and the secret key.

    The service cannot close a folder that belongs to another user.
    """
    if is_private(settings.STATE_DIR):
        return []
    return [
        Warning(
            f"Other users of this machine can read {settings.STATE_DIR} (STATE_DIR).",
            hint="Make the service's own user the owner of the folder, and set its mode to 700.",
            id="datasets.W002",
        )
    ]


@register()
def check_chart_library(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn if the chart library, a package from npm, is not installed."""
    if (settings.BASE_DIR / "node_modules" / "lightweight-charts").is_dir():
        return []
    return [
        Warning(
            "The chart library is not installed.", hint="Run `make install`.", id="datasets.W001"
        )
    ]
