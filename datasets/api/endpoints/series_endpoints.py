"""`/api/tv/series`: the archives, their bars at any depth, gaps and revisions."""

from __future__ import annotations

import django_filters
from django.db.models import Prefetch
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets import serving
from datasets.api import schema
from datasets.api.access import Scopes, caller_of
from datasets.api.bar_serializers import RevisionSerializer, SeriesSerializer
from datasets.api.endpoints.bar_replies import OwnNegotiation, accepted_reply, render_archived
from datasets.api.filtering import (
    CursorOrdering,
    InstantFilter,
    Pages,
    StrictFilterBackend,
    StrictQueryMixin,
    TimeframeFilter,
    refuse_unknown,
)
from datasets.api.parameters import ArchiveParameters
from datasets.api.replies import choose_format
from datasets.archive.archive_bodies import ArchiveRequest, gap_report
from datasets.models import Dataset, Series
from datasets.serving.permissions import MAY_FETCH_AGAIN, Scope


class SeriesPages(Pages):
    ordering = ("-fetched_at", "-id")


class RevisionPages(Pages):
    ordering = ("-found_at", "-id")


class SeriesFilter(django_filters.FilterSet):
    """Filters of the list of series."""

    timeframe = TimeframeFilter()
    fetched_after = InstantFilter("fetched_at", "gte")
    fetched_before = InstantFilter("fetched_at", "lt")

    class Meta:
        model = Series
        fields = ["source", "exchange", "symbol", "session", "adjustment"]


@extend_schema_view(list=schema.series_list_schema, retrieve=schema.series_schema)
class SeriesViewSet(StrictQueryMixin, ReadOnlyModelViewSet[Series]):
    """The series: one archive each, of all bars that were ever fetched."""

    required_scopes: Scopes = {"GET": Scope.READ}
    required_permission = MAY_FETCH_AGAIN
    reads_query = frozenset({"list", "bars", "revisions"})
    queryset = Series.objects.select_related("schedule").prefetch_related(
        # Only their numbers are shown.
        Prefetch("datasets", Dataset.objects.only("pk", "series"))
    )
    serializer_class = SeriesSerializer
    pagination_class = SeriesPages
    filterset_class = SeriesFilter
    filter_backends = (StrictFilterBackend, CursorOrdering)
    ordering_fields = ("fetched_at", "exchange", "symbol", "timeframe", "n_rows", "last_time")
    lookup_value_regex = r"[0-9]{1,18}"

    @schema.series_bars_schema
    @action(
        detail=True,
        filter_backends=(),
        pagination_class=None,
        content_negotiation_class=OwnNegotiation,
    )
    def bars(self, request: Request, pk: str) -> HttpResponse:
        """Return bars of the archive: a range at any depth, also as of an instant."""
        series = self.get_object()
        parameters = ArchiveParameters(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        values = parameters.part()
        values["format"] = choose_format(values["format"], request.headers.get("Accept", ""))
        return render_archived(request._request, series, ArchiveRequest(**values))

    @schema.series_gaps_schema
    @action(detail=True, filter_backends=(), pagination_class=None)
    def gaps(self, request: Request, pk: str) -> Response:
        """Return which bars are missing, and how that is known."""
        series = self.get_object()
        named = {"series": series.pk, "full_symbol": series.series_key.full_symbol}
        return Response(named | gap_report(series).as_dict() | {"looked_at": series.fetched_at})

    @schema.revisions_schema
    @action(detail=True, filter_backends=(), pagination_class=RevisionPages)
    def revisions(self, request: Request, pk: str) -> Response:
        """List the differences between fetches of the series, newest first."""
        refuse_unknown(request._request.GET, known={"cursor", "page_size"})
        pages = RevisionPages()
        page = pages.paginate_queryset(self.get_object().revisions.all(), request, self)
        return pages.get_paginated_response(RevisionSerializer(page or [], many=True).data)

    @schema.series_refresh_schema
    @action(
        detail=True,
        methods=["post"],
        required_scopes={"POST": Scope.MANAGE},
        required_permission=MAY_FETCH_AGAIN,
    )
    def refresh(self, request: Request, pk: str) -> HttpResponse:
        """Fetch the series' largest dataset again now: only the bars that the archive lacks."""
        series = self.get_object()
        caller = caller_of(request)
        caller.require_fetch()
        return accepted_reply(serving.refresh_series(series, via="api", by=caller.name))
