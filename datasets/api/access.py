"""Who may do what: by a token's scope, by the user, or because the API is open."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from datasets import callers
from datasets.api.throttling import client_of
from datasets.errors import Forbidden
from datasets.models import ApiToken

READ, FETCH, MANAGE = ApiToken.Scope.READ, ApiToken.Scope.FETCH, ApiToken.Scope.MANAGE
_SCOPES = [READ, FETCH, MANAGE]

# What needs more than reading. `GET /api/tv/ohlc` needs it only when it comes to a fetch.
_NEEDS = {
    ("FetchViewSet", "create"): FETCH,
    ("FetchViewSet", "destroy"): FETCH,
    # They change what others are served.
    ("DatasetViewSet", "destroy"): MANAGE,
    ("DatasetViewSet", "refresh"): MANAGE,
}


def is_open_to_all(view: Any) -> bool:
    """Return whether the view's action needs no credentials."""
    return settings.API_ACCESS == "open" and _needed_by(view) != MANAGE


class ApiAccess(BasePermission):
    """Follows a token's scope and the setting `API_ACCESS`."""

    message = "These credentials do not go that far; see docs/access.md."

    def has_permission(self, request: Request, view: Any) -> bool:
        return _may(request, _needed_by(view))


def require_fetch(request: Request) -> None:
    """Raise `Refused` unless the client may begin a fetch now; count it if so."""
    if not _may(request, FETCH):
        raise Forbidden(
            "No cached dataset answers this, and these credentials may only read what is cached."
        )
    count_fetch(request)


def count_fetch(request: Request) -> None:
    """Count a fetch of this client; raise `TooManyRequests` when it has had its share."""
    callers.fetches.count(client_of(request))


def requester(request: Request) -> str:
    """Return who asks, for the fetch's row: the user and the token, else the client's address."""
    if isinstance(request.auth, ApiToken):
        return f"{request.user.get_username()}, token {request.auth.name}"
    if request.user.is_authenticated:
        return request.user.get_username()
    return callers.address_of(request._request)


def _needed_by(view: Any) -> ApiToken.Scope:
    return _NEEDS.get((type(view).__name__, getattr(view, "action", None) or ""), READ)


def _may(request: Request, needed: ApiToken.Scope) -> bool:
    granted = _granted(request)
    return granted is not None and _SCOPES.index(granted) >= _SCOPES.index(needed)


def _granted(request: Request) -> ApiToken.Scope | None:
    """Return how far the request may go; None for nowhere."""
    if isinstance(request.auth, ApiToken):
        # Also where the API is open: who hands out a token for reading means just that.
        return ApiToken.Scope(request.auth.scope)
    if request.user.is_staff:
        return MANAGE
    if request.user.is_authenticated or settings.API_ACCESS == "open":
        return FETCH
    return None
