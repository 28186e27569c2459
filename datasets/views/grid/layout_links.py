"""Links to the layouts that a user has saved, for pages without JavaScript."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User

from datasets import layouts


def layout_links(user: User | AnonymousUser) -> list[dict[str, Any]]:
    """Return name, address and number of charts of each layout of the user, by name."""
    if not isinstance(user, User):
        return []
    return [
        {"name": each.name, "address": layouts.page_address(each), "n_charts": len(each.charts)}
        for each in user.layouts.all()
    ]
