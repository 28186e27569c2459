"""`/api/tv/watchlists`: the lists that the service keeps up to date, their symbols and series."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets import watchlists
from datasets.api.access import Scopes, caller_of
from datasets.api.endpoints.watchlist_bodies import (
    BudgetSerializer,
    NewWatchlist,
    QuoteQuery,
    QuoteSerializer,
    SeriesStateSerializer,
    SymbolQuery,
    SymbolsBody,
    WatchedSymbolSerializer,
    WatchlistChanges,
    WatchlistSerializer,
)
from datasets.api.filtering import Pages, StrictQueryMixin, refuse_unknown
from datasets.api.schema import problems
from datasets.fetching.schedule import check_symbols
from datasets.live.list_quotes import quoted_timeframe, quotes_of
from datasets.models import Watchlist, database
from datasets.serving.permissions import MAY_WATCH, Scope
from datasets.watchlists.series_states import SeriesState

_GONE = OpenApiResponse(description="Done.")


class WatchlistPages(Pages):
    ordering = ("name", "id")


class WatchedSymbolPages(Pages):
    ordering = ("position", "id")


class SchedulePages(Pages):
    ordering = ("exchange", "symbol", "timeframe", "id")


@extend_schema_view(
    list=extend_schema(
        summary="List watchlists", responses={200: WatchlistSerializer(many=True), **problems()}
    ),
    retrieve=extend_schema(
        summary="Get one watchlist", responses={200: WatchlistSerializer, **problems(404)}
    ),
)
class WatchlistViewSet(StrictQueryMixin, ReadOnlyModelViewSet[Watchlist]):
    """Watchlists: symbols that the service keeps up to date by itself."""

    required_scopes: Scopes = {
        "GET": Scope.READ, "POST": Scope.MANAGE, "PATCH": Scope.MANAGE, "DELETE": Scope.MANAGE,
    }  # fmt: skip
    required_permission = MAY_WATCH
    reads_query = frozenset({"list", "symbols", "series", "quotes", "remove_symbol"})
    queryset = Watchlist.objects.annotate(n_symbols=Count("symbols"))
    serializer_class = WatchlistSerializer
    pagination_class = WatchlistPages
    filter_backends = ()
    lookup_value_regex = r"[0-9]{1,18}"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the watchlists by name."""
        refuse_unknown(request._request.GET, known={"cursor", "page_size"})
        return super().list(request, *args, **kwargs)

    @extend_schema(
        summary="Make a watchlist",
        request=NewWatchlist,
        responses={201: WatchlistSerializer, **problems(415, 500)},
    )
    def create(self, request: Request) -> Response:
        """Make a list, with its symbols; a mistake in any of them makes none."""
        body = NewWatchlist(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        entries, is_checked = body.entries(), values.pop("check_symbols")
        del values["symbols"], values["text"]
        watchlists.require_new_name(values["name"])
        problems_found = check_symbols(entries) if is_checked else {}
        watchlist, _ = watchlists.save_watchlist(
            values.pop("name"), entries, problems=problems_found, is_new=True, **_who(request), **values
        )  # fmt: skip
        return Response(WatchlistSerializer(watchlist).data, status=201)

    @extend_schema(
        summary="Change a watchlist",
        request=WatchlistChanges,
        responses={200: WatchlistSerializer, **problems(404, 415, 500)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change values of a list, pause it or resume it."""
        watchlist = self.get_object()
        body = WatchlistChanges(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        watchlists.change_watchlist(watchlist, **_who(request), **values)
        if values.get("is_paused") is False:
            watchlists.resume(watchlist, **_who(request))
        return Response(WatchlistSerializer(watchlist).data)

    @extend_schema(summary="Delete a watchlist", responses={204: _GONE, **problems(404)})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete the list; its bars stay, and are not kept up to date any more."""
        watchlists.delete_watchlist(self.get_object(), **_who(request))
        return Response(status=204)

    @extend_schema(summary="Get the calls that the lists need", responses=BudgetSerializer)
    @action(detail=False, pagination_class=None)
    def budget(self, request: Request) -> Response:
        """Return the calls that all lists need in the coming week, and those that are allowed."""
        return Response(BudgetSerializer(watchlists.present_budget()).data)

    @extend_schema(
        summary="List the symbols of a watchlist",
        responses={200: WatchedSymbolSerializer(many=True), **problems(404)},
    )
    @action(detail=True, pagination_class=WatchedSymbolPages)
    def symbols(self, request: Request, pk: str) -> Response:
        """List the symbols in the order of the list, each with its section and its problem."""
        refuse_unknown(request._request.GET, known={"cursor", "page_size"})
        pages = WatchedSymbolPages()
        page = pages.paginate_queryset(self.get_object().symbols.all(), request, self)
        return pages.get_paginated_response(WatchedSymbolSerializer(page or [], many=True).data)

    @extend_schema(
        summary="Add symbols to a watchlist",
        request=SymbolsBody,
        responses={200: WatchedSymbolSerializer(many=True), **problems(404, 415, 500)},
        filters=False,
    )
    @symbols.mapping.post
    def add_symbols(self, request: Request, pk: str) -> Response:
        """Add symbols, all or none, and return the new ones; a symbol of the list stays as it is."""
        watchlist = self.get_object()
        body = SymbolsBody(data=request.data)
        body.is_valid(raise_exception=True)
        entries = body.entries()
        found = check_symbols(entries) if body.validated_data["check_symbols"] else {}
        rows = watchlists.add_symbols(watchlist, entries, problems=found, **_who(request))
        return Response(WatchedSymbolSerializer(rows, many=True).data)

    @extend_schema(
        summary="Remove a symbol from a watchlist",
        parameters=[SymbolQuery],
        responses={204: _GONE, **problems(404)},
    )
    @symbols.mapping.delete
    def remove_symbol(self, request: Request, pk: str) -> Response:
        """Remove the symbol that the query names."""
        watchlist = self.get_object()
        query = SymbolQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        entries = watchlists.read_symbols(query.validated_data["symbol"])
        watchlists.remove_symbols(watchlist, entries, **_who(request))
        return Response(status=204)

    @extend_schema(
        summary="List the series of a watchlist",
        responses={200: SeriesStateSerializer(many=True), **problems(404)},
    )
    @action(detail=True, pagination_class=SchedulePages)
    def series(self, request: Request, pk: str) -> Response:
        """List the series of the list: how fresh each is, its next fetch and its last outcome."""
        refuse_unknown(request._request.GET, known={"cursor", "page_size"})
        pages, now = SchedulePages(), database.shared_now()
        found = watchlists.schedules_of(self.get_object()).select_related("series__schedule")
        rows = [
            {"id": each.pk, **SeriesState(each, watchlists.freshness_of(each, now)).as_dict()}
            for each in pages.paginate_queryset(found, request, self) or []
        ]
        return pages.get_paginated_response(SeriesStateSerializer(rows, many=True).data)

    @extend_schema(
        summary="List the last prices of a watchlist",
        parameters=[QuoteQuery],
        responses={200: QuoteSerializer(many=True), **problems(404)},
    )
    @action(detail=True, pagination_class=WatchedSymbolPages)
    def quotes(self, request: Request, pk: str) -> Response:
        """List the newest held price of each symbol, its change since the bar before, and how fresh it is."""
        watchlist = self.get_object()
        values = {name: text for name, text in request.query_params.items() if name == "timeframe"}
        refuse_unknown(request._request.GET, known={"cursor", "page_size", "timeframe"})
        query = QuoteQuery(data=values)
        query.is_valid(raise_exception=True)
        timeframe = quoted_timeframe(watchlist, query.validated_data.get("timeframe", ""))
        pages = WatchedSymbolPages()
        page = pages.paginate_queryset(watchlist.symbols.all(), request, self) or []
        rows = quotes_of(watchlist, page, timeframe, database.shared_now())
        return pages.get_paginated_response(QuoteSerializer(rows, many=True).data)


def _who(request: Request) -> dict[str, str]:
    """Return the caller and the way, for the audit."""
    return {"by": caller_of(request).name, "via": "api"}
