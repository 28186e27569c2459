"""Reads in plain Django, without the framework's own request, negotiation and rendering."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.viewsets import ViewSet

from datasets import serving
from datasets.api.access import READS, require, scope_of
from datasets.api.authentication import authenticate, sign_in_hint
from datasets.api.endpoints.bar_replies import OwnNegotiation
from datasets.api.exceptions import problem_response
from datasets.api.filtering import StrictQueryMixin
from datasets.errors import InvalidRequest
from datasets.serving import clients
from datasets.serving.permissions import Caller, Need

# Characters. A browser sends about 150.
LONGEST_ACCEPT = 1000


class PlainReadViewSet(StrictQueryMixin, ViewSet):
    """GET and HEAD as plain Django views: the framework takes longer than a cached read.

    The rules are those of all endpoints, and stand in their modules.
    """

    required_scopes = READS
    content_negotiation_class = OwnNegotiation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return super().dispatch(request, *args, **kwargs)
        # Bound by `as_view` to the action of the route.
        action = getattr(self, request.method.lower())
        try:
            reply: HttpResponseBase = action(request, *args, **kwargs)
        except Exception as error:
            if isinstance(error, AuthenticationFailed | NotAuthenticated):
                error.auth_header = sign_in_hint(request)  # type: ignore[union-attr]
            problem = problem_response(error, {"request": request})
            if problem is None:
                raise
            return problem
        return reply

    def admit(self, request: HttpRequest) -> Caller:
        """Return the caller after the checks that every request passes: credentials, scope, count, `TV_ENABLED`."""
        request.user, token = authenticate(request) or (AnonymousUser(), None)
        caller = Caller.of(request, token)
        require(caller, Need(scope_of(self, "GET")))
        clients.reads.count(caller.client)
        serving.require_enabled()
        return caller


def accept_of(request: HttpRequest) -> tuple[str, str]:
    """Return the headers `Accept` and `Accept-Encoding`; raise `InvalidRequest` for an overlong `Accept`."""
    accept = request.META.get("HTTP_ACCEPT", "")
    if len(accept) > LONGEST_ACCEPT:
        raise InvalidRequest({"format": [f"Accept is longer than {LONGEST_ACCEPT} characters."]})
    return accept, request.META.get("HTTP_ACCEPT_ENCODING", "")[:LONGEST_ACCEPT]
