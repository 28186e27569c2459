"""`GET /api/tv/series/{id}/live`: the forming bar and new bars of a series, for a client that asks every few seconds."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema

from datasets.api.endpoints.live_body import LiveSerializer
from datasets.api.endpoints.plain_reads import PlainReadViewSet
from datasets.api.parameters import LiveParameters
from datasets.api.replies import reply
from datasets.api.schema import problems
from datasets.live.live_replies import LiveReply, live_reply
from datasets.live.watched_series import is_noted, is_watched, note_asked
from datasets.serving import clients
from datasets.serving.permissions import Caller, Need, Scope

live_schema = extend_schema(
    operation_id="api_tv_series_live_retrieve",
    summary="Get the forming bar and new bars of a series",
    parameters=[LiveParameters, OpenApiParameter("id", int, OpenApiParameter.PATH)],
    responses={
        200: forced_singular_serializer(LiveSerializer),  # type: ignore[no-untyped-call]
        **problems(404, 500),
    },
)


class LiveViewSet(PlainReadViewSet):
    """`GET /api/tv/series/{id}/live`."""

    reads_query = frozenset({"list"})

    @live_schema
    def list(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Return the bars since an instant; the service receives their updates while somebody asks for them."""
        caller = self.admit(request)
        since = _read(request.META.get("QUERY_STRING", ""))
        found = live_reply(int(pk), since)
        watch(caller, int(pk), found)
        return reply(request, found.rendered, media_type="application/json")


def watch(caller: Caller, series_id: int, found: LiveReply) -> None:
    """Note that the caller watches the series, where the caller may cause calls to TradingView.

    A series that nobody has watched counts as one fetch of the caller; raises `TooManyRequests`.
    """
    if not settings.TV_LIVE or is_noted(found.live):
        return
    if caller.is_sent_by_other_site or not caller.may(Need(Scope.FETCH)):
        return
    if not is_watched(found.live):
        clients.fetches.count(caller.client)
    note_asked(series_id, found.live)


@lru_cache(maxsize=4096)
def _read(query: str) -> datetime | None:
    parameters = LiveParameters(data=QueryDict(query))
    parameters.is_valid(raise_exception=True)
    since: datetime | None = parameters.validated_data["since"]
    return since
