"""Who may use the API: everybody, or with `API_ACCESS=login` only who has signed in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

# What only staff may do, also where the API is open: it changes what others are served.
_STAFF_ACTIONS = {("DatasetViewSet", "destroy"), ("DatasetViewSet", "refresh")}


class ApiAccess(BasePermission):
    """Follows the setting `API_ACCESS`; invalidating and refreshing is for staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if (type(view).__name__, getattr(view, "action", None)) in _STAFF_ACTIONS:
            return request.user.is_staff
        return settings.API_ACCESS == "open" or request.user.is_authenticated


def requester(request: Request) -> str:
    """Return who asks, for the fetch's row: the user's name, else the client's address."""
    if request.user.is_authenticated:
        return request.user.get_username()
    return str(request.META.get("REMOTE_ADDR", ""))
