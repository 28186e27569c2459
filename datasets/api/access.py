"""The scope that each endpoint states, and the caller of each request held against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from datasets.models import ApiToken
from datasets.serving.permissions import Caller, Need, Scope, strangers_may

# What an endpoint states as `required_scopes`: of each of its methods, the scope that it needs.
Scopes = Mapping[str, ApiToken.Scope]
READS: Scopes = {"GET": Scope.READ}


class ApiAccess(BasePermission):
    """Lets in the callers who meet the need of the endpoint."""

    message = "These credentials do not go that far; see docs/access.md."

    def has_permission(self, request: Request, view: Any) -> bool:
        return caller_of(request).may(need_of(view, str(request.method)))


def need_of(view: Any, method: str) -> Need:
    """Return what the view requires of a caller of this method.

    A view says so in `required_scopes` and `required_permission`. A method without a stated
    scope needs `manage`. HEAD and OPTIONS need what GET needs.
    """
    if getattr(view, "action", None) is None and not hasattr(view, method.lower()):
        # Nothing to protect: the answer is that there is no such method.
        return Need(Scope.READ)
    if method in ("HEAD", "OPTIONS"):
        method = "GET"
    return Need(scope_of(view, method), getattr(view, "required_permission", ""))


def scope_of(view: Any, method: str) -> ApiToken.Scope:
    """Return the scope that the view states for the method, else the widest."""
    stated: Scopes = getattr(view, "required_scopes", {})
    return stated.get(method, Scope.MANAGE)


def is_open_to_all(view: Any, method: str) -> bool:
    """Return whether the view's method needs no credentials."""
    return strangers_may(need_of(view, method).scope)


def caller_of(request: Request) -> Caller:
    """Return who sent the request, by the credentials that it was let in with."""
    token = request.auth if isinstance(request.auth, ApiToken) else None
    # The framework's request has all that Django's has.
    return Caller.of(cast(HttpRequest, request), token)
