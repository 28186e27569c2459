"""The endpoints: each validates, calls one function, and renders."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import extend_schema_view
from rest_framework.decorators import action
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet, ViewSet

from datasets import catalog, serving
from datasets.api import schema
from datasets.api.access import READS, Scopes, caller_of, scope_of
from datasets.api.early import answered_early
from datasets.api.filtering import (
    BooleanFilter,
    CursorOrdering,
    DatasetPages,
    FetchPages,
    InstantFilter,
    StrictFilterBackend,
    StrictQueryMixin,
    TimeframeFilter,
    WholeNumberFilter,
)
from datasets.api.parameters import (
    BarsParameters,
    SymbolParameters,
    read_new_fetches,
    read_ohlc_request,
)
from datasets.api.replies import accepts_gzip, bars_reply, choose_format, file_reply
from datasets.api.serializers import (
    DatasetSerializer,
    FetchSerializer,
    NewFetches,
    describe_outcomes,
)
from datasets.catalog import lists
from datasets.errors import InvalidRequest, Refused, StoreError
from datasets.fetching import fetch_queue, symbol_search, throttle
from datasets.formats import FORMATS
from datasets.models import Dataset, Fetch
from datasets.serving import bodies, status, usage
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.fetch_requests import request_fetches
from datasets.serving.permissions import MAY_DELETE, MAY_FETCH_AGAIN, MAY_INVALIDATE, Scope


class OwnNegotiation(BaseContentNegotiation):
    """Leaves the choice of the format to the view; errors are always problem+json."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


class OhlcViewSet(StrictQueryMixin, ViewSet):
    """`GET /api/tv/ohlc`: the bars, from the cache or freshly fetched."""

    # Of the bars that are there; `list` asks for more where a fetch has to be begun.
    required_scopes = READS
    content_negotiation_class = OwnNegotiation

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        """Return the view, which the commonest reads do not reach."""
        view = super().as_view(actions, **initkwargs)
        # An early reply goes to everyone who may read.
        is_for_readers = scope_of(cls, "GET") == Scope.READ
        return answered_early(view) if is_for_readers else view

    @schema.ohlc_schema
    def list(self, request: Request) -> HttpResponse:
        """Answer from the cache, or fetch and wait."""
        wanted = _negotiated(request, read_ohlc_request(request.META.get("QUERY_STRING", "")))
        via = "page" if request.headers.get("X-Requested-By") == "page" else "api"
        caller = caller_of(request)
        answer = serving.find_answer(
            wanted, via=via, by=caller.name, before_fetch=caller.require_fetch
        )
        if isinstance(answer, Fetch):
            return _accepted(answer)
        try:
            return _bars_reply(request, answer, wanted)
        except StoreError:
            # The file went bad since it was found; its row says so now, so it is fetched again.
            return self.list(request)


def _negotiated(request: Request, wanted: BarsRequest) -> BarsRequest:
    return replace(wanted, format=choose_format(wanted.format, request.headers.get("Accept", "")))


def _bars_reply(request: Request, answer: Answer, wanted: BarsRequest) -> HttpResponse:
    is_gzip = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    rendered = bodies.render(answer, wanted, accepts_gzip=is_gzip)
    path = answer.dataset.path
    return bars_reply(request._request, rendered, format=wanted.format, dataset_path=path)


def _accepted(fetch: Fetch) -> Response:
    """Say that the fetch is on its way, and where it can be watched."""
    response = Response(FetchSerializer(fetch).data, status=202)
    response["Location"] = reverse("api-fetch-detail", args=[fetch.pk])
    response["Retry-After"] = "1"
    return response


class SymbolViewSet(StrictQueryMixin, ViewSet):
    """Instruments that TradingView knows."""

    required_scopes = READS

    @schema.symbols_schema
    def list(self, request: Request) -> Response:
        """Find symbols by code or description; every answer is kept for a day. Kept datasets come first."""
        parameters = SymbolParameters(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        caller_of(request).require_own_site()
        found = symbol_search.find_symbols(**parameters.validated_data)
        body = {
            "query": parameters.validated_data["query"],
            "has_more": found.page.next_start is not None,
            "symbols": [asdict(match) for match in found.page.matches],
            "next_start": found.page.next_start,
            "retry_after_s": found.retry_after_s,
        }
        response = Response(body)
        if found.retry_after_s is not None:
            response["Retry-After"] = str(math.ceil(found.retry_after_s))
        return response


class StatusViewSet(StrictQueryMixin, ViewSet):
    """What the service is doing."""

    required_scopes = READS
    required_permission = ""
    reads_query = frozenset()

    @schema.status_schema
    def list(self, request: Request) -> Response:
        """Say which feed, how it is signed in, what the throttle allows, the queue and the disk."""
        return Response(status.describe())

    @schema.end_cool_down_schema
    @action(
        detail=False,
        methods=["delete"],
        url_path="cool-down",
        required_scopes={"DELETE": Scope.MANAGE},
        required_permission=MAY_FETCH_AGAIN,
    )
    def cool_down(self, request: Request) -> Response:
        """End the pause of all fetches that a refusal of TradingView began."""
        throttle.end_cool_down(by=caller_of(request).name)
        return Response(status=204)


class DatasetFilter(django_filters.FilterSet):
    """What the list of datasets can be narrowed by."""

    q = django_filters.CharFilter(
        method="search",
        max_length=100,
        label="Part of the symbol, the exchange or the description.",
    )
    timeframe = TimeframeFilter()
    n_bars = WholeNumberFilter()
    is_pinned = BooleanFilter()
    fetched_after = InstantFilter("fetched_at", "gte")
    fetched_before = InstantFilter("fetched_at", "lt")

    class Meta:
        model = Dataset
        fields = [
            "source",
            "exchange",
            "symbol",
            "session",
            "adjustment",
            "state",
        ]

    def search(self, queryset: QuerySet[Dataset], name: str, value: str) -> QuerySet[Dataset]:
        return lists.search(queryset, value)


class FetchFilter(django_filters.FilterSet):
    """What the list of fetches can be narrowed by."""

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


@extend_schema_view(list=schema.dataset_list_schema, retrieve=schema.dataset_schema)
class DatasetViewSet(StrictQueryMixin, ReadOnlyModelViewSet[Dataset]):
    """The catalog."""

    required_scopes: Scopes = {"GET": Scope.READ, "DELETE": Scope.MANAGE}
    required_permission = MAY_INVALIDATE
    reads_query = frozenset({"list", "bars"})

    queryset = Dataset.objects.all()
    serializer_class = DatasetSerializer
    pagination_class = DatasetPages
    filterset_class = DatasetFilter
    filter_backends = (StrictFilterBackend, CursorOrdering)
    ordering_fields = (
        "fetched_at",
        "exchange",
        "symbol",
        "timeframe",
        "n_rows",
        "bytes",
        "hits",
        "last_time",
    )
    lookup_value_regex = r"[0-9]{1,18}"

    @schema.invalidate_schema
    def destroy(self, request: Request, pk: str) -> Response:
        """Invalidate the dataset: it is fetched again when next asked for."""
        serving.invalidate(self.get_object())
        return Response(status=204)

    @schema.refresh_schema
    @action(
        detail=True,
        methods=["post"],
        required_scopes={"POST": Scope.MANAGE},
        required_permission=MAY_FETCH_AGAIN,
    )
    def refresh(self, request: Request, pk: str) -> Response:
        """Fetch the dataset again now."""
        dataset = self.get_object()
        caller = caller_of(request)
        caller.require_fetch()
        return _accepted(serving.refresh(dataset, via="api", by=caller.name))

    @schema.bars_schema
    @action(
        detail=True,
        filter_backends=(),
        pagination_class=None,
        content_negotiation_class=OwnNegotiation,
    )
    def bars(self, request: Request, pk: str) -> HttpResponse:
        """Send the bars of just this dataset, however old it is."""
        dataset = self.get_object()
        parameters = BarsParameters(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        wanted = _negotiated(request, BarsRequest(dataset.key, **parameters.part()))
        answer = Answer(dataset, is_cached=True)
        return _bars_reply(request, answer, wanted)

    @schema.file_schema
    @action(
        detail=True,
        filter_backends=(),
        pagination_class=None,
        required_scopes={"GET": Scope.READ, "DELETE": Scope.MANAGE},
        required_permission=MAY_DELETE,
    )
    def file(self, request: Request, pk: str) -> HttpResponseBase:
        """Send the parquet file, whole or the part that `Range` asks for."""
        dataset = self.get_object()
        path = catalog.path_to_read(dataset)
        usage.count(dataset.pk)
        return file_reply(
            request._request,
            path,
            stored_as=dataset.path,
            content_hash=dataset.content_hash,
            media_type=FORMATS["parquet"].media_type,
        )

    @schema.delete_schema
    @file.mapping.delete
    def delete_file(self, request: Request, pk: str) -> Response:
        """Delete the dataset: its file is moved to the trash."""
        catalog.delete(self.get_object())
        return Response(status=204)


@extend_schema_view(list=schema.fetch_list_schema, retrieve=schema.fetch_schema)
class FetchViewSet(StrictQueryMixin, ReadOnlyModelViewSet[Fetch]):
    """Requests to get datasets from the feed."""

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
    def create(self, request: Request) -> Response:
        """Fetch one symbol, or many; a fetch that is on its way is joined, a fresh dataset is left."""
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
        # Where nothing else came of it, the refusal is the reply.
        if len(refusals) == len(outcomes) and (is_one or isinstance(refusals[0], Refused)):
            raise refusals[0]
        if is_one and outcomes[0].fetch is not None:
            return _accepted(outcomes[0].fetch)
        status = 200 if is_one else 202
        return Response(describe_outcomes(outcomes), status, headers={"Retry-After": "1"})

    @schema.cancel_schema
    def destroy(self, request: Request, pk: str) -> Response:
        """Cancel the fetch while it is still queued."""
        fetch = self.get_object()
        if not fetch_queue.cancel(fetch):
            fetch.refresh_from_db()
            raise InvalidRequest(
                {"id": [f"The fetch is {fetch.state} already; only a queued one can be cancelled."]}
            )
        return Response(status=204)
