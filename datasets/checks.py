"""Checks at start-up: a setting that would make wrong data is found before any is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from tvproject.privacy import is_private


@register()
def check_time_zone(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """tvDatafeed and Django both go by the process's zone."""
    if settings.TIME_ZONE == "UTC" and settings.USE_TZ:
        return []
    return [
        Error(
            "TIME_ZONE is not 'UTC', or USE_TZ is off.",
            hint="Every time here is UTC.",
            id="datasets.E001",
        )
    ]


@register()
def check_sign_in(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A user name without its password would sign nobody in."""
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
def check_state_is_private(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The state folder holds sessions and the secret key; another owner's cannot be closed by us."""
    if is_private(settings.STATE_DIR):
        return []
    return [
        Warning(
            f"Other users of this machine can read {settings.STATE_DIR} (STATE_DIR).",
            hint="Let the service's own user own it, with the mode 700.",
            id="datasets.W002",
        )
    ]


@register()
def check_chart_library(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The chart page needs a package from npm."""
    if (settings.BASE_DIR / "node_modules" / "lightweight-charts").is_dir():
        return []
    return [
        Warning(
            "The chart library is not installed.", hint="Run `make install`.", id="datasets.W001"
        )
    ]
