"""`GET /api/tv/ohlc`: bars from the cache or from a new fetch."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from datasets import serving
from datasets.api import schema
from datasets.api.access import READS, caller_of, scope_of
from datasets.api.early import answered_early
from datasets.api.endpoints.bar_replies import (
    OwnNegotiation,
    accepted_reply,
    render_bars,
    with_chosen_format,
)
from datasets.api.filtering import StrictQueryMixin
from datasets.api.parameters import read_ohlc_request
from datasets.errors import StoreError
from datasets.models import Fetch
from datasets.serving.permissions import Scope


class OhlcViewSet(StrictQueryMixin, ViewSet):
    """`GET /api/tv/ohlc`."""

    # Enough for cached bars. `list` also requires the scope `fetch` when it starts a fetch.
    required_scopes = READS
    content_negotiation_class = OwnNegotiation

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        """Return the view; cached replies are answered before the framework starts."""
        view = super().as_view(actions, **initkwargs)
        # An early reply checks for the scope `read` alone.
        is_for_readers = scope_of(cls, "GET") == Scope.READ
        return answered_early(view) if is_for_readers else view

    @schema.ohlc_schema
    def list(self, request: Request) -> HttpResponse:
        """Return bars from the cache, or fetch them and wait."""
        wanted = with_chosen_format(
            request, read_ohlc_request(request.META.get("QUERY_STRING", ""))
        )
        via = "page" if request.headers.get("X-Requested-By") == "page" else "api"
        caller = caller_of(request)
        answer = serving.find_answer(
            wanted, via=via, by=caller.name, before_fetch=caller.require_fetch
        )
        if isinstance(answer, Fetch):
            return accepted_reply(answer)
        try:
            return render_bars(request, answer, wanted)
        except StoreError:
            # The file became unreadable after the row was chosen. The row is marked now, so the
            # second try chooses another dataset or starts a fetch.
            return self.list(request)
