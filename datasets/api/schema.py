"""OpenAPI schema of the endpoints: errors, formats of bars, queries."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers

from datasets.api.access import is_open_to_all
from datasets.api.bar_serializers import (
    BARS_HEADERS,
    ContentSerializer,
    GapReportSerializer,
    OhlcColumnsSerializer,
    OhlcSerializer,
    RevisionSerializer,
    SeriesGapReportSerializer,
    SeriesSerializer,
)
from datasets.api.parameters import (
    ArchiveParameters,
    BarsParameters,
    ContentParameters,
    OhlcParameters,
    SymbolParameters,
)
from datasets.api.reference import entries
from datasets.api.serializers import (
    DatasetSerializer,
    FetchSerializer,
    NewFetches,
    NewFetchesReply,
    SymbolPageSerializer,
)
from datasets.errors import FetchError, all_codes
from datasets.formats import FORMATS, file_formats

_PARQUET = FORMATS["parquet"].media_type
PROBLEM = "application/problem+json"
FETCH_CODES = sorted(
    code
    for code, kind in all_codes().items()
    if issubclass(kind, FetchError) and kind is not FetchError and code != "error"
)


class DocumentedSchema(AutoSchema):
    """Marks the endpoints that need credentials; `API_ACCESS` decides. Ids in paths are integers."""

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        for parameter in (operation or {}).get("parameters", []):
            # A route's pattern makes it a string; a client could not pass the `id` of a reply there.
            if (parameter["in"], parameter["name"]) == ("path", "id"):
                parameter["schema"] = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
        return operation

    def get_auth(self) -> list[Any]:
        together = super().get_auth()
        # Each kind of credentials is enough.
        found: list[Any] = [{name: []} for each in together for name in each]
        return [*found, {}] if is_open_to_all(self.view, self.method) else found


class CredentialsScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The entries of the three kinds of credentials in the schema."""

    target_class = "datasets.api.authentication.ApiAuthentication"
    name = ["token", "basic", "cookieAuth"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        token = "A token that was made in the admin: `tv_…`."
        return [
            {"type": "http", "scheme": "bearer", "description": token},
            {"type": "http", "scheme": "basic"},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. `code` is stable; `retryable` says whether the same request can succeed later."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, what it means, and what to do next.")
    code = serializers.ChoiceField([entry.code for entry in entries()])
    retryable = serializers.BooleanField()
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="For a bad request: each wrong parameter with what is allowed.",
    )


_PROBLEM_TITLES = {
    400: "A parameter is missing or wrong.",
    401: "Sign in first.",
    403: "Not allowed.",
    404: "There is no such thing.",
    412: "It has changed since the caller read it; nothing was replaced.",
    415: "The body must be JSON.",
    416: "The file has no such part.",
    429: "Too many requests from this client.",
    500: f"The fetch failed; `code` is one of {', '.join(FETCH_CODES)}. Or an error of this service: `internal_error`.",
    503: "`TV_ENABLED=0`.",
}
_EXAMPLE = {
    "symbol": "BTCUSDT", "exchange": "BINANCE", "timeframe": "1h", "count": 1,
    "ohlc": [{"time": "2025-01-01T00:00:00Z", "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0}],
    "source": "tradingview", "dataset": 17, "cached": True, "stale": False, "fetched_at": "2025-01-01T00:00:03Z",
    "last_bar_final": True, "complete_until": "2025-01-01T01:00:00Z", "n_bars": 5000, "session": "regular", "adjustment": "splits", "content_hash": "0e3a", "bars_url": "/api/tv/bars/0e3a?format=json",
    "is_limited": False, "covers_start": None, "held_from": "2025-01-01T00:00:00Z",
    "held_through": "2025-01-01T00:00:00Z", "doubts": {}, "instrument": {"pro_name": "BINANCE:BTCUSDT"},
}  # fmt: skip
_BARS: dict[Any, Any] = {
    (200, "application/json"): OpenApiResponse(
        PolymorphicProxySerializer(
            component_name="OhlcRowsOrColumns",
            serializers=[OhlcSerializer, OhlcColumnsSerializer],
            resource_type_field_name=None,
            many=False,
        ),
        examples=[OpenApiExample("one bar", _EXAMPLE)],
    ),
    **{
        (200, row.media_type): OpenApiResponse(str if row.is_text else bytes)
        for row in file_formats()
    },
    304: OpenApiResponse(description="The client has these bars already."),
}


def problems(*statuses: int) -> dict[Any, Any]:
    """Return the error replies of these statuses for `extend_schema`."""
    found: dict[Any, Any] = {}
    for status in {*statuses, 400, 401, 403, 429, 503}:
        found[(status, PROBLEM)] = OpenApiResponse(
            ProblemSerializer, description=_PROBLEM_TITLES[status]
        )
    return found


def _one(serializer: type[serializers.BaseSerializer[Any]]) -> Any:
    """Mark a reply as one object; drf-spectacular takes an action named `list` for a list."""
    return forced_singular_serializer(serializer)  # type: ignore[no-untyped-call]


_RANGE_HEADER = OpenApiParameter(
    "Range", str, OpenApiParameter.HEADER, description="Part of the body, one range."
)
ohlc_schema = extend_schema(
    summary="Get bars",
    parameters=[OhlcParameters, *BARS_HEADERS],
    responses={
        **_BARS,
        202: _one(FetchSerializer),
        307: OpenApiResponse(
            description="Of `redirect`: the address of these bars by their content."
        ),
        **problems(404, 500),
    },  # fmt: skip
)
bars_schema = extend_schema(
    summary="Get the bars of one dataset",
    parameters=[BarsParameters, *BARS_HEADERS],
    responses={**_BARS, **problems(404, 500)},
)
content_schema = extend_schema(
    summary="Get bars by their content",
    parameters=[ContentParameters, _RANGE_HEADER],
    responses={
        **_BARS,
        (200, "application/json"): OpenApiResponse(ContentSerializer),
        **{(206, row.media_type): OpenApiResponse(bytes) for row in FORMATS.values()},
        **problems(404, 416, 500),
    },
)
gaps_schema = extend_schema(
    summary="Find missing bars of one dataset",
    responses={200: _one(GapReportSerializer), **problems(404, 500)},
)
file_schema = extend_schema(
    summary="Download the parquet file",
    parameters=[_RANGE_HEADER],
    responses={
        (200, _PARQUET): OpenApiResponse(bytes),
        (206, _PARQUET): OpenApiResponse(bytes),
        304: OpenApiResponse(description="The client has this file already."),
        **problems(404, 416, 500),
    },
)
symbols_schema = extend_schema(
    summary="Search symbols",
    parameters=[SymbolParameters],
    responses={200: _one(SymbolPageSerializer), **problems(500)},
)
end_cool_down_schema = extend_schema(
    summary="End the pause after a refusal",
    responses={
        204: OpenApiResponse(
            description="Fetches call TradingView again; also when none was paused."
        ),
        **problems(),
    },
)
new_fetches_schema = extend_schema(
    summary="Fetch one symbol or many",
    request=NewFetches,
    responses={
        200: OpenApiResponse(
            NewFetchesReply, description="One symbol was asked for, and a fresh dataset answers it."
        ),
        202: PolymorphicProxySerializer(
            component_name="OneFetchOrMany",
            serializers=[FetchSerializer, NewFetchesReply],
            resource_type_field_name=None,
            many=False,
        ),
        **problems(415, 500),
    },
)
dataset_list_schema = extend_schema(
    summary="List datasets", responses={200: DatasetSerializer(many=True), **problems()}
)
dataset_schema = extend_schema(
    summary="Get one dataset's facts", responses={200: DatasetSerializer, **problems(404)}
)
invalidate_schema = extend_schema(
    summary="Invalidate a dataset",
    responses={
        204: OpenApiResponse(description="It is fetched again when next asked for."),
        **problems(404),
    },
)
delete_schema = extend_schema(
    operation_id="api_tv_datasets_file_destroy",
    summary="Delete a dataset and its file",
    responses={
        204: OpenApiResponse(
            description="The catalog has forgotten it. The file is in the trash until `manage.py tidy`."
        ),
        **problems(404),
    },
)
refresh_schema = extend_schema(
    summary="Fetch a dataset again",
    request=None,
    responses={202: FetchSerializer, **problems(404, 500)},
)
series_list_schema = extend_schema(
    summary="List series", responses={200: SeriesSerializer(many=True), **problems()}
)
series_schema = extend_schema(
    summary="Get one series' facts", responses={200: SeriesSerializer, **problems(404)}
)
series_bars_schema = extend_schema(
    summary="Get bars of an archive",
    parameters=[ArchiveParameters, *BARS_HEADERS],
    responses={**_BARS, **problems(404, 500)},
)
series_gaps_schema = extend_schema(
    summary="Get the missing bars of a series",
    responses={200: SeriesGapReportSerializer, **problems(404, 500)},
)
revisions_schema = extend_schema(
    summary="List the revisions of a series",
    responses={200: RevisionSerializer(many=True), **problems(404)},
)
series_refresh_schema = extend_schema(
    summary="Fetch the new bars of a series",
    request=None,
    responses={202: FetchSerializer, **problems(404, 500)},
)
fetch_list_schema = extend_schema(
    summary="List fetches", responses={200: FetchSerializer(many=True), **problems()}
)
fetch_schema = extend_schema(
    summary="Get how a fetch is getting on", responses={200: FetchSerializer, **problems(404)}
)
cancel_schema = extend_schema(
    summary="Cancel a queued fetch",
    responses={204: OpenApiResponse(description="It was cancelled."), **problems(404)},
)
