"""Request throttles: how often one client of the API may ask. `callers.py` does the counting."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from datasets import callers
from datasets.models import ApiToken


class ReadThrottle(BaseThrottle):
    """Counts every request, whatever it asks for."""

    def allow_request(self, request: Request, view: Any) -> bool:
        callers.reads.count(client_of(request))
        return True


def client_of(request: Request) -> str:
    """Return who shares one limit: a token, a person who signed in, or else an address."""
    if isinstance(request.auth, ApiToken):
        return callers.token_client(request.auth.pk)
    if request.user.is_authenticated:
        return f"user-{request.user.pk}"
    return callers.address_of(request._request)
