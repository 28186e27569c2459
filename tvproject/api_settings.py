"""Settings of the API that no variable changes: Django REST framework, and the headers for other origins."""

from corsheaders.defaults import default_headers

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "datasets.api.authentication.ApiAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["datasets.api.throttling.ReadThrottle"],
    "DEFAULT_PARSER_CLASSES": ["datasets.api.parsers.BoundedJSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["datasets.api.access.ApiAccess"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "datasets.api.schema.DocumentedSchema",
    "EXCEPTION_HANDLER": "datasets.api.exceptions.problem_response",
    "URL_FORMAT_OVERRIDE": None,
    "NON_FIELD_ERRORS_KEY": "request",
}
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "if-range", "range"]
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
    "Location",
    "Market-Opens-At",
    "Retry-After",
]
