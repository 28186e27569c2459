"""Settings of the API that no variable changes: Django REST framework, its documentation, headers for other origins."""

from typing import Any

from corsheaders.defaults import default_headers

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "datasets.api.authentication.ApiAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["datasets.api.throttling.ReadThrottle"],
    "DEFAULT_PARSER_CLASSES": ["datasets.api.parsers.BoundedJSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["datasets.api.access.ApiAccess"],
    "DEFAULT_RENDERER_CLASSES": ["datasets.api.parsers.FastJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "datasets.api.schema.DocumentedSchema",
    "EXCEPTION_HANDLER": "datasets.api.exceptions.problem_response",
    "URL_FORMAT_OVERRIDE": None,
    "NON_FIELD_ERRORS_KEY": "request",
}
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "if-range", "range", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "Cache-Status",
    "Content-Disposition",
    "Content-Range",
    "Covers-Start",
    "ETag",
    "Expected-Through",
    "Freshness",
    "Held-From",
    "Held-Through",
    "Lag-Bars",
    "Link",
    "Location",
    "Market-Opens-At",
    "Retry-After",
    "X-Request-Id",
]


def api_documentation(version: str) -> dict[str, Any]:
    """Return the settings of the schema and of the pages that show it."""
    return {
        "TITLE": "TradingView dataset service",
        "DESCRIPTION": (
            "TradingView bars, fetched once and kept. Times are ISO 8601 in UTC and mark a bar's opening instant. "
            "Errors are RFC 9457 problem+json with a stable `code`."
        ),
        "VERSION": version,
        "SERVE_INCLUDE_SCHEMA": False,
        "SERVE_PERMISSIONS": ["datasets.api.access.ApiAccess"],
        "SCHEMA_PATH_PREFIX": "/api/tv",
        # The documentation's scripts come from an installed package, not from another host.
        "SWAGGER_UI_DIST": "SIDECAR",
        "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
        "ENUM_NAME_OVERRIDES": {
            "DatasetState": "datasets.models.Dataset.State",
            "FetchState": "datasets.models.Fetch.State",
            "FreshnessState": "datasets.watchlists.freshness.FreshnessState",
        },
    }
