"""`/api/tv/fetches`: the list of fetches, new fetches, and the end of a queued one."""

from __future__ import annotations

from typing import Any

import django_filters
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets.api import schema
from datasets.api.access import Scopes, caller_of
from datasets.api.endpoints.bar_replies import accepted_reply
from datasets.api.filtering import (
    CursorOrdering,
    FetchPages,
    StrictFilterBackend,
    StrictQueryMixin,
    TimeframeFilter,
    WholeNumberFilter,
)
from datasets.api.serializers import (
    FetchSerializer,
    NewFetches,
    describe_outcomes,
    read_new_fetches,
)
from datasets.errors import InvalidRequest, Refused
from datasets.fetching import interventions
from datasets.models import Fetch
from datasets.serving.fetch_requests import request_fetches
from datasets.serving.permissions import Scope


class FetchFilter(django_filters.FilterSet):
    """Filters of the list of fetches."""

    timeframe = TimeframeFilter()
    dataset = WholeNumberFilter("dataset_id")

    class Meta:
        model = Fetch
        fields = [
            "source",
            "exchange",
            "symbol",
            "state",
            "error_code",
            "requested_via",
        ]


@extend_schema_view(list=schema.fetch_list_schema, retrieve=schema.fetch_schema)
class FetchViewSet(StrictQueryMixin, ReadOnlyModelViewSet[Fetch]):
    """Fetches: requests to TradingView for one dataset each."""

    required_scopes: Scopes = {"GET": Scope.READ, "POST": Scope.FETCH, "DELETE": Scope.FETCH}
    queryset = Fetch.objects.all()
    serializer_class = FetchSerializer
    pagination_class = FetchPages
    filterset_class = FetchFilter
    filter_backends = (StrictFilterBackend, CursorOrdering)
    ordering_fields = ("requested_at", "finished_at", "exchange", "symbol")
    lookup_value_regex = r"[0-9]{1,18}"

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "is_list": self.action == "list"}

    @schema.new_fetches_schema
    def create(self, request: Request) -> HttpResponse:
        """Fetch one symbol or many. A running fetch is joined, and a fresh dataset is not fetched again."""
        wanted = NewFetches(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        caller = caller_of(request)
        outcomes = request_fetches(
            read_new_fetches(values),
            via="api",
            by=caller.name,
            use_cache=values["use_cache"],
            before_fetch=caller.require_fetch,
        )
        refusals = [outcome.refusal for outcome in outcomes if outcome.refusal is not None]
        is_one = bool(values["symbol"])
        # Without any fetch or dataset to report, the refusal itself is the reply.
        if len(refusals) == len(outcomes) and (is_one or isinstance(refusals[0], Refused)):
            raise refusals[0]
        if is_one and outcomes[0].fetch is not None:
            return accepted_reply(outcomes[0].fetch)
        status = 200 if is_one else 202
        return Response(describe_outcomes(outcomes), status, headers={"Retry-After": "1"})

    @schema.cancel_schema
    def destroy(self, request: Request, pk: str) -> Response:
        """Cancel the fetch; only a queued one can be cancelled."""
        fetch = self.get_object()
        if not interventions.cancel(fetch, by=caller_of(request).name, via="api"):
            fetch.refresh_from_db()
            raise InvalidRequest(
                {"id": [f"The fetch is {fetch.state} already; only a queued one can be cancelled."]}
            )
        return Response(status=204)
