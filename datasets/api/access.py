"""Who may use the API: everybody, or with `API_ACCESS=login` only who has signed in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class ApiAccess(BasePermission):
    """Follows the setting `API_ACCESS`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return settings.API_ACCESS == "open" or request.user.is_authenticated


def requester(request: Request) -> str:
    """Return who asks, for the fetch's row: the user's name, else the client's address."""
    if request.user.is_authenticated:
        return request.user.get_username()
    return str(request.META.get("REMOTE_ADDR", ""))
