"""Request throttle of the API. `serving/clients.py` counts the requests."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from datasets.api.access import caller_of
from datasets.serving import clients


class ReadThrottle(BaseThrottle):
    """Counts every request of a client against `API_READS_PER_MINUTE`."""

    def allow_request(self, request: Request, view: Any) -> bool:
        clients.reads.count(caller_of(request).client)
        return True
