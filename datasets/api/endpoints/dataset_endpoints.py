"""`/api/tv/datasets`: the catalog, and the bars and the file of one dataset."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets import catalog, serving
from datasets.api import schema
from datasets.api.access import Scopes, caller_of
from datasets.api.endpoints.bar_replies import (
    OwnNegotiation,
    accepted_reply,
    render_bars,
)
from datasets.api.filtering import (
    BooleanFilter,
    CursorOrdering,
    DatasetPages,
    InstantFilter,
    StrictFilterBackend,
    StrictQueryMixin,
    TimeframeFilter,
    WholeNumberFilter,
)
from datasets.api.parameters import BarsParameters
from datasets.api.replies import accepts_gzip, choose_format, file_reply
from datasets.api.serializers import DatasetSerializer
from datasets.catalog import lists
from datasets.formats import FORMATS
from datasets.models import Dataset
from datasets.serving import usage
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.permissions import MAY_DELETE, MAY_FETCH_AGAIN, MAY_INVALIDATE, Scope


class DatasetFilter(django_filters.FilterSet):
    """Filters of the list of datasets."""

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
        """Invalidate the dataset: the next request for its bars starts a fetch."""
        serving.invalidate(self.get_object(), by=caller_of(request).name, via="api")
        return Response(status=204)

    @schema.refresh_schema
    @action(
        detail=True,
        methods=["post"],
        required_scopes={"POST": Scope.MANAGE},
        required_permission=MAY_FETCH_AGAIN,
    )
    def refresh(self, request: Request, pk: str) -> HttpResponse:
        """Fetch the dataset again now."""
        dataset = self.get_object()
        caller = caller_of(request)
        caller.require_fetch()
        return accepted_reply(serving.refresh(dataset, via="api", by=caller.name))

    @schema.bars_schema
    @action(
        detail=True,
        filter_backends=(),
        pagination_class=None,
        content_negotiation_class=OwnNegotiation,
    )
    def bars(self, request: Request, pk: str) -> HttpResponse:
        """Return the bars of this dataset, whatever its age."""
        dataset = self.get_object()
        parameters = BarsParameters(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        part = parameters.part()
        part["format"] = choose_format(part["format"], request.headers.get("Accept", ""))
        return render_bars(
            request._request,
            Answer(dataset, is_cached=True),
            BarsRequest(dataset.key, **part),
            is_gzip=accepts_gzip(request.headers.get("Accept-Encoding", "")),
        )

    @schema.gaps_schema
    @action(detail=True, filter_backends=(), pagination_class=None)
    def gaps(self, request: Request, pk: str) -> Response:
        """Return which bars of this dataset are missing, and how that is known."""
        dataset = self.get_object()
        report = catalog.gap_report(dataset)
        return Response({"dataset": dataset.pk, "full_symbol": dataset.key.full_symbol} | report)

    @schema.file_schema
    @action(
        detail=True,
        filter_backends=(),
        pagination_class=None,
        required_scopes={"GET": Scope.READ, "DELETE": Scope.MANAGE},
        required_permission=MAY_DELETE,
    )
    def file(self, request: Request, pk: str) -> HttpResponseBase:
        """Return the parquet file, or the part that `Range` names."""
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
        catalog.delete(self.get_object(), by=caller_of(request).name, via="api")
        return Response(status=204)
