"""OpenAPI schema of the datafeed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from datasets.udf.tickers import RESOLUTIONS

View = TypeVar("View", bound=Callable[..., Any])

_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["s", "errmsg", "code"],
    "properties": {
        "s": {"enum": ["error"]},
        "errmsg": {"type": "string"},
        "code": {"type": "string"},
    },
}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_BARS: dict[str, Any] = {
    "type": "object",
    "required": ["s"],
    "properties": {"s": {"enum": ["ok", "no_data"]}, **dict.fromkeys("tohlcv", _NUMBERS)},
}
_OBJECT: dict[str, Any] = {"type": "object"}
_LIST: dict[str, Any] = {"type": "array", "items": {"type": "object"}}


def _parameter(
    name: str, description: str, *, required: bool = False, is_number: bool = False
) -> OpenApiParameter:
    # A fraction is cut off.
    kind = OpenApiTypes.DOUBLE if is_number else OpenApiTypes.STR
    return OpenApiParameter(name, kind, required=required, description=description)


_SYMBOL = _parameter("symbol", "`EXCHANGE:SYMBOL`, and `|ext`, `|div` or `|none`.", required=True)
_RESOLUTION = _parameter("resolution", f"One of {', '.join(RESOLUTIONS.values())}.", required=True)
_FROM = _parameter("from", "UNIX seconds.", is_number=True)
_TO = _parameter("to", "UNIX seconds; bars open before this instant.", is_number=True)
_SPAN = [
    _parameter("from", "UNIX seconds.", required=True, is_number=True),
    _parameter("to", "UNIX seconds.", required=True, is_number=True),
]


def _documented(
    summary: str, body: dict[str, Any], *parameters: OpenApiParameter
) -> Callable[[View], View]:
    refused = OpenApiResponse(_ERROR, description="These credentials do not allow this.")
    return extend_schema(
        summary=summary,
        tags=["udf"],
        parameters=list(parameters),
        responses={
            (200, "application/json"): {"anyOf": [body, _ERROR]},
            304: OpenApiResponse(description="The client has this reply already."),
            (401, "application/json"): refused,
            (403, "application/json"): refused,
        },
    )


config_schema = _documented("Get the datafeed's abilities", _OBJECT)
time_schema = extend_schema(
    summary="Get the clock in UNIX seconds", tags=["udf"],
    responses={
        (200, "text/plain"): str, (200, "application/json"): _ERROR,
        (401, "application/json"): _ERROR, (403, "application/json"): _ERROR,
    },
)  # fmt: skip
symbols_schema = _documented("Get the description of a symbol", _OBJECT, _SYMBOL)
search_schema = _documented(
    "Search symbols for the chart", _LIST,
    _parameter("query", "What a person would type."),
    _parameter("type", "Only instruments of this type."),
    _parameter("exchange", "Only of this exchange."),
    _parameter("limit", "Most matches, up to 50.", is_number=True),
)  # fmt: skip
history_schema = _documented(
    "Get bars for the chart", _BARS, _SYMBOL, _RESOLUTION, _FROM, _TO,
    _parameter("countback", "Bars before `to`, also before `from`.", is_number=True),
)  # fmt: skip
marks_schema = _documented(
    "Get revisions as marks", {"anyOf": [_OBJECT, _LIST]}, _SYMBOL, _RESOLUTION, *_SPAN
)
timescale_marks_schema = _documented("Get gaps as marks", _LIST, _SYMBOL, _RESOLUTION, *_SPAN)
widgets_schema = _documented("Get the widgets of OpenBB Workspace", _OBJECT)
