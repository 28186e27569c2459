"""`/api/tv/status`: the state of the service, and the end of a cool-down."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from datasets.api import schema
from datasets.api.access import READS, caller_of
from datasets.api.endpoints.live_body import LiveStatusSerializer
from datasets.api.filtering import StrictQueryMixin
from datasets.api.serializers import StatusSerializer
from datasets.fetching import interventions
from datasets.live.live_status import live_status
from datasets.serving import status
from datasets.serving.permissions import MAY_FETCH_AGAIN, Scope


@extend_schema_serializer(component_name="Status")
class ServiceStatusSerializer(StatusSerializer):
    """The state of the service, the live connection included."""

    live = LiveStatusSerializer()


class StatusViewSet(StrictQueryMixin, ViewSet):
    """The state of the service."""

    required_scopes = READS
    required_permission = ""
    reads_query = frozenset()

    @extend_schema(
        summary="Get the service's state",
        responses={200: forced_singular_serializer(ServiceStatusSerializer), **schema.problems()},  # type: ignore[no-untyped-call]
    )
    def list(self, request: Request) -> Response:
        """Return the state of the feed, its sign-in, the throttle, the live connection, the queue and the disk."""
        return Response(status.describe() | {"live": asdict(live_status())})

    @schema.end_cool_down_schema
    @action(
        detail=False,
        methods=["delete"],
        url_path="cool-down",
        required_scopes={"DELETE": Scope.MANAGE},
        required_permission=MAY_FETCH_AGAIN,
    )
    def cool_down(self, request: Request) -> Response:
        """End the cool-down that follows a refusal by TradingView."""
        interventions.end_cool_down(by=caller_of(request).name, via="api")
        return Response(status=204)
