"""`/api/tv/drawings`: the caller's own drawings over the bars of one symbol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from datasets import drawings
from datasets.api.access import Scopes, caller_of
from datasets.api.filtering import StrictQueryMixin
from datasets.api.parameters import MAX_FULL_SYMBOL, StrictSerializer
from datasets.api.schema import problems
from datasets.errors import InvalidRequest
from datasets.models import SymbolDrawings
from datasets.serving.permissions import Scope

_LINE = {
    "id": "8f0c", "kind": "trend",
    "points": [{"time": 1735689600, "price": 93576.0}, {"time": 1735776000, "price": 94591.8}],
}  # fmt: skip
_REPLY = {
    "user": 3, "symbol": "BINANCE:BTCUSDT", "drawings": [_LINE], "version": 4,
    "updated_at": "2025-01-02T10:00:00Z",
}  # fmt: skip


class DrawingsQuery(StrictSerializer):
    """The query of `/api/tv/drawings`."""

    symbol = serializers.CharField(
        max_length=MAX_FULL_SYMBOL, help_text="`EXCHANGE:SYMBOL`, or an expression, in any spelling."
    )  # fmt: skip


class PointSerializer(serializers.Serializer[Any]):
    """One point of a drawing."""

    time = serializers.FloatField(help_text="UNIX seconds, UTC.")
    price = serializers.FloatField(help_text="In the symbol's own unit.")


class DrawingSerializer(serializers.Serializer[Any]):
    """One drawing."""

    id = serializers.CharField(
        max_length=drawings.MOST_ID, help_text="Visible ASCII characters; unique in the list."
    )
    kind = serializers.ChoiceField(list(drawings.KINDS))
    points = PointSerializer(
        many=True, help_text="Two for `trend`, `ray`, `rectangle` and `fibonacci`; else one."
    )
    text = serializers.CharField(
        max_length=drawings.MOST_TEXT, required=False, help_text="Only of the kind `text`."
    )


class NewDrawings(serializers.Serializer[Any]):
    """The body of `PUT /api/tv/drawings`."""

    # For the schema alone: `datasets.drawings` checks the values, and names the wrong drawing.

    drawings = DrawingSerializer(
        many=True, help_text="The whole list, the undermost first; an empty list removes all."
    )


class SymbolDrawingsSerializer(serializers.Serializer[Any]):
    """The caller's drawings over one symbol."""

    user = serializers.IntegerField(help_text="Number of the caller's account.")
    symbol = serializers.CharField(help_text="In TradingView's form.")
    drawings = DrawingSerializer(many=True, help_text="The undermost first.")
    version = serializers.IntegerField(help_text="Grows with each change; 0 without drawings.")
    updated_at = serializers.DateTimeField(allow_null=True, help_text="UTC.")


_ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200],
    description="Names this version: send it in `If-Match` to replace it. Missing without drawings.",
)  # fmt: skip
_KEPT = OpenApiResponse(SymbolDrawingsSerializer, examples=[OpenApiExample("one line", _REPLY)])


class DrawingViewSet(StrictQueryMixin, ViewSet):
    """Drawings of the caller over the bars of a symbol; nobody else's drawings are found here."""

    required_scopes: Scopes = {"GET": Scope.READ, "PUT": Scope.FETCH}
    is_personal = True
    reads_query = frozenset({"retrieve", "update"})

    @extend_schema(
        operation_id="api_tv_drawings_retrieve",
        summary="Get the drawings of one symbol",
        parameters=[DrawingsQuery, _ETAG],
        responses={200: _KEPT, **problems()},
    )
    def retrieve(self, request: Request) -> Response:
        """Return the caller's drawings of the symbol; a symbol without drawings has an empty list and no ETag."""
        user, symbol = _owner(request), _symbol(request)
        return _reply(user, symbol, drawings.drawings_of(user, symbol))

    @extend_schema(
        operation_id="api_tv_drawings_update",
        summary="Replace the drawings of one symbol",
        parameters=[
            DrawingsQuery,
            OpenApiParameter(
                "If-Match", str, OpenApiParameter.HEADER,
                description="The ETag of the version to replace.",
            ),
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, enum=["*"],
                description="In place of `If-Match` where the symbol has no drawings yet.",
            ),
            _ETAG,
        ],
        request=NewDrawings,
        examples=[OpenApiExample("one line", {"drawings": [_LINE]}, request_only=True)],
        responses={200: _KEPT, **problems(412, 415)},
    )  # fmt: skip
    def update(self, request: Request) -> Response:
        """Replace the whole list. If another computer has replaced it meanwhile, the reply is a 412 and nothing changes."""
        user, symbol = _owner(request), _symbol(request)
        new = drawings.replace_drawings(user, symbol, _list(request.data), known=_known(request))
        return _reply(user, symbol, new)


def _owner(request: Request) -> User:
    user = caller_of(request).user
    # A stranger does not get here: the endpoint is personal.
    assert isinstance(user, User)
    return user


def _symbol(request: Request) -> str:
    query = DrawingsQuery(data=request.query_params)
    query.is_valid(raise_exception=True)
    return drawings.full_symbol(query.validated_data["symbol"])


def _list(body: Any) -> Any:
    if not isinstance(body, Mapping) or set(body) != {"drawings"}:
        raise InvalidRequest({"drawings": ['Send {"drawings": […]} and nothing else.']})
    return body["drawings"]


def _known(request: Request) -> str | None:
    """Return the tag of the version that the caller replaces; None for no drawings yet."""
    tag = request.headers.get("If-Match", "").strip()
    if tag:
        # A proxy that compresses a reply marks its tag as weak. It names one version all the same.
        return str(tag.removeprefix("W/"))
    if request.headers.get("If-None-Match", "").strip() == "*":
        return None
    sentence = "Send the ETag of the version to replace, or If-None-Match: * where there are no drawings yet."
    raise InvalidRequest({"If-Match": [sentence]})


def _reply(user: User, symbol: str, kept: SymbolDrawings | None) -> Response:
    response = Response(
        {
            "user": user.pk,
            "symbol": symbol,
            "drawings": kept.drawings if kept else [],
            "version": kept.version if kept else 0,
            "updated_at": kept.updated_at if kept else None,
        }
    )
    # Another user may sign in at this browser.
    response["Cache-Control"] = "no-store"
    if kept:
        response["ETag"] = kept.tag
    return response
