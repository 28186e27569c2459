"""Access to endpoints: the scope that each one states, checked against the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.http import HttpRequest
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from datasets.models import ApiToken
from datasets.serving.permissions import Caller, Need, Scope, strangers_may

# The type of `required_scopes`: HTTP method → scope that the caller needs.
Scopes = Mapping[str, ApiToken.Scope]
READS: Scopes = {"GET": Scope.READ}


class ApiAccess(BasePermission):
    """Grants access to callers who meet the endpoint's need."""

    message = "These credentials do not go that far; see docs/access.md."

    def has_permission(self, request: Request, view: Any) -> bool:
        return caller_of(request).may(need_of(view, str(request.method)))


def require(caller: Caller, need: Need) -> None:
    """Raise DRF's error unless the caller meets the need, as `ApiAccess` does in other views."""
    if not caller.may(need):
        is_stranger = caller.user is None
        raise NotAuthenticated if is_stranger else PermissionDenied(ApiAccess.message)


def need_of(view: Any, method: str) -> Need:
    """Return the view's need for this method.

    A view states it in `required_scopes`, `required_permission` and `is_personal`. A method without a
    stated scope needs `manage`. HEAD and OPTIONS need what GET needs.
    """
    if getattr(view, "action", None) is None and not hasattr(view, method.lower()):
        # Nothing to protect: the reply is 405.
        return Need(Scope.READ)
    if method in ("HEAD", "OPTIONS"):
        method = "GET"
    return Need(
        scope_of(view, method),
        getattr(view, "required_permission", ""),
        getattr(view, "is_personal", False),
    )


def scope_of(view: Any, method: str) -> ApiToken.Scope:
    """Return the scope that the view states for the method, else the widest."""
    stated: Scopes = getattr(view, "required_scopes", {})
    return stated.get(method, Scope.MANAGE)


def is_open_to_all(view: Any, method: str) -> bool:
    """Return whether the view's method needs no credentials."""
    need = need_of(view, method)
    return strangers_may(need.scope) and not need.is_personal


def caller_of(request: Request) -> Caller:
    """Return the sender of the request, by its checked credentials."""
    token = request.auth if isinstance(request.auth, ApiToken) else None
    # DRF's request has all attributes of Django's.
    return Caller.of(cast(HttpRequest, request), token)
