"""`/api/tv/alerts`: price alerts of the caller, and those that were made without sign-in."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets import alerts
from datasets.api.access import Scopes, caller_of
from datasets.api.endpoints.alert_bodies import AlertChanges, AlertSerializer, NewAlert
from datasets.api.filtering import (
    CursorOrdering,
    Pages,
    StrictFilterBackend,
    StrictQueryMixin,
    TimeframeFilter,
)
from datasets.api.schema import problems
from datasets.models import PriceAlert
from datasets.serving.permissions import Caller, Scope


class AlertFilter(django_filters.FilterSet):
    """Filters of the list of alerts."""

    symbol = django_filters.CharFilter("series__symbol")
    exchange = django_filters.CharFilter("series__exchange")
    timeframe = TimeframeFilter("series__timeframe")

    class Meta:
        model = PriceAlert
        fields = ["state", "symbol", "exchange", "timeframe"]


class AlertPages(Pages):
    ordering = ("-created_at", "-id")


@extend_schema_view(
    list=extend_schema(
        summary="List price alerts", responses={200: AlertSerializer(many=True), **problems()}
    ),
    retrieve=extend_schema(
        summary="Get one price alert", responses={200: AlertSerializer, **problems(404)}
    ),
)
class AlertViewSet(StrictQueryMixin, ReadOnlyModelViewSet[PriceAlert]):
    """Price alerts: messages when the price of a series meets a condition."""

    # An alert causes no more calls to TradingView than a watched chart, which needs this scope too.
    required_scopes: Scopes = {
        "GET": Scope.READ, "POST": Scope.FETCH, "PATCH": Scope.FETCH, "DELETE": Scope.FETCH,
    }  # fmt: skip
    queryset = PriceAlert.objects.all()
    serializer_class = AlertSerializer
    pagination_class = AlertPages
    filterset_class = AlertFilter
    filter_backends = (StrictFilterBackend, CursorOrdering)
    ordering_fields = ("created_at", "triggered_at")
    lookup_value_regex = r"[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[PriceAlert]:
        """Return the alerts that the caller may see."""
        return alerts.alerts_of(caller_of(self.request).user).prefetch_related("messages")

    @extend_schema(
        summary="Make a price alert",
        request=NewAlert,
        responses={201: AlertSerializer, **problems(415, 500)},
    )
    def create(self, request: Request) -> Response:
        """Make an alert on a series that the service holds; it belongs to the signed-in user."""
        caller = _writer(request)
        body = NewAlert(data=request.data)
        body.is_valid(raise_exception=True)
        alert = alerts.create_alert(
            body.key(), user=caller.user, by=caller.name, **body.alert_values()
        )
        return Response(AlertSerializer(alert).data, status=201)

    @extend_schema(
        summary="Change a price alert",
        request=AlertChanges,
        responses={200: AlertSerializer, **problems(404, 415, 500)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change values of an alert, pause it, or arm it again."""
        caller, alert = _writer(request), self.get_object()
        body = AlertChanges(data=request.data)
        body.is_valid(raise_exception=True)
        alerts.change_alert(alert, by=caller.name, **body.validated_data)
        return Response(AlertSerializer(alert).data)

    @extend_schema(
        summary="Delete a price alert",
        responses={204: OpenApiResponse(description="Done."), **problems(404)},
    )
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete the alert, with its message if that is not sent yet."""
        caller = _writer(request)
        alerts.delete_alert(self.get_object(), by=caller.name)
        return Response(status=204)


def _writer(request: Request) -> Caller:
    """Return the caller; raise `Forbidden` for a request that another site's page sent."""
    caller = caller_of(request)
    caller.require_own_site()
    return caller
