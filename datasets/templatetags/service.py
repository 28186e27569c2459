"""The state of the service, for the admin's start page."""

from __future__ import annotations

from typing import Any

from django import template

from datasets.serving import status

register = template.Library()


@register.simple_tag
def service_status() -> dict[str, Any]:
    """Return the service's state, the failures of the last day, and the share of cached replies."""
    rate = status.hit_rate()
    return status.describe() | {
        "failures": status.failures_by_code(),
        "hit_rate": None if rate is None else f"{rate:.1%}",
    }
