"""`/api/tv/layouts`: the layouts of charts that the caller has saved under a name."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from datasets import layouts
from datasets.api.access import Scopes, caller_of
from datasets.api.fields import YesOrNo
from datasets.api.filtering import Pages, StrictQueryMixin, refuse_unknown
from datasets.api.parameters import StrictSerializer
from datasets.api.schema import problems
from datasets.models import SavedLayout
from datasets.serving.permissions import Scope


class LayoutChanges(StrictSerializer):
    """The body of `PATCH /api/tv/layouts/{id}`; a value that is left out stays as it is."""

    name = serializers.CharField(
        max_length=100, required=False, help_text="Unique among the caller's layouts."
    )
    charts = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=layouts.MOST_CHARACTERS),
        min_length=1, max_length=4, required=False,
        help_text="For each of 1, 2 or 4 charts the query of the chart page's address; empty for an empty chart.",
    )  # fmt: skip
    same_symbol = YesOrNo(
        required=False, help_text="Whether a symbol chosen in one chart is shown in all (`false`)."
    )
    same_timeframe = YesOrNo(
        required=False,
        help_text="Whether a timeframe chosen in one chart is shown in all (`false`).",
    )


class NewLayout(LayoutChanges):
    """The body of `POST /api/tv/layouts`."""

    name = serializers.CharField(max_length=100, help_text="Unique among the caller's layouts.")
    charts = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=layouts.MOST_CHARACTERS),
        min_length=1, max_length=4,
        help_text="For each of 1, 2 or 4 charts the query of the chart page's address; empty for an empty chart.",
    )  # fmt: skip


class LayoutSerializer(serializers.ModelSerializer[SavedLayout]):
    """One saved layout."""

    charts = serializers.ListField(child=serializers.CharField(), read_only=True)
    address = serializers.SerializerMethodField(
        help_text="Path and query of the page that shows the layout."
    )

    class Meta:
        model = SavedLayout
        fields = ["id", "name", "charts", *layouts.LINKS, "address", "saved_at"]
        read_only_fields = fields

    def get_address(self, layout: SavedLayout) -> str:
        return layouts.page_address(layout)


class LayoutPages(Pages):
    ordering = ("name", "id")


@extend_schema_view(
    list=extend_schema(
        summary="List saved layouts",
        responses={200: LayoutSerializer(many=True), **problems()},
    ),
    retrieve=extend_schema(
        summary="Get one saved layout", responses={200: LayoutSerializer, **problems(404)}
    ),
)
class LayoutViewSet(StrictQueryMixin, ReadOnlyModelViewSet[SavedLayout]):
    """Layouts of charts that the caller has saved; nobody else's layout is found here."""

    required_scopes: Scopes = {
        "GET": Scope.READ, "POST": Scope.FETCH, "PATCH": Scope.FETCH, "DELETE": Scope.FETCH,
    }  # fmt: skip
    is_personal = True
    # For the schema; each request reads `get_queryset`.
    queryset = SavedLayout.objects.none()
    serializer_class = LayoutSerializer
    pagination_class = LayoutPages
    filter_backends = ()
    lookup_value_regex = r"[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[SavedLayout]:
        """Return the layouts of the caller."""
        return SavedLayout.objects.filter(user=caller_of(self.request).user)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the caller's layouts by name."""
        refuse_unknown(request._request.GET, known={"cursor", "page_size"})
        return super().list(request, *args, **kwargs)

    @extend_schema(
        summary="Save a layout",
        request=NewLayout,
        responses={201: LayoutSerializer, **problems(415)},
    )
    def create(self, request: Request) -> Response:
        """Save charts under a new name; a user has at most 100 layouts."""
        body = NewLayout(data=request.data)
        body.is_valid(raise_exception=True)
        user = caller_of(request).user
        # A stranger does not get here: the endpoint is personal.
        assert isinstance(user, User)
        layout = layouts.save_layout(user, **body.validated_data)
        return Response(LayoutSerializer(layout).data, status=201)

    @extend_schema(
        summary="Change a saved layout",
        request=LayoutChanges,
        responses={200: LayoutSerializer, **problems(404, 415)},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename a layout, or replace its charts."""
        layout = self.get_object()
        body = LayoutChanges(data=request.data)
        body.is_valid(raise_exception=True)
        layouts.change_layout(layout, **body.validated_data)
        return Response(LayoutSerializer(layout).data)

    @extend_schema(
        summary="Delete a saved layout",
        responses={204: OpenApiResponse(description="Done."), **problems(404)},
    )
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete the layout; its bars stay."""
        self.get_object().delete()
        return Response(status=204)
