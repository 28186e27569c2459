"""Middleware: length of the query, sign-in wall, content security policy, database connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import MiddlewareNotUsed, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from datasets import log_context
from datasets.models import database
from datasets.monitoring.reply_counts import replies
from datasets.serving.permissions import Scope, strangers_may
from datasets.serving.trust import distrust_all

Respond = Callable[[HttpRequest], HttpResponse]

# Bytes. A query with all parameters and filters at once takes a fifth of this.
MAX_QUERY = 8192
_FETCHES = "/api/tv/fetches"
# The rules that the chart library adds to the page for its attribution logo. The hash of just
# these stands here, so that no other inline style is let in; a test compares it with the package.
CHART_LOGO_STYLE = "'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='"
_PAGE_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        f"style-src 'self' {CHART_LOGO_STYLE}",
        # `data:` for the icons that stylesheets carry in themselves.
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
# Of a page that allows frames by `X-Frame-Options: SAMEORIGIN`, such as a chart of the grid.
_FRAMED_POLICY = _PAGE_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def identify_request(respond: Respond) -> Respond:
    """Give the request an id, the client's own where it is safe; logs and the reply carry it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request_id = log_context.safe_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        # Cheaper than a block; the hot path has a third of a millisecond in all.
        log_context.begin_request(request_id)
        try:
            response = respond(request)
        finally:
            log_context.begin_request("")
        response.headers["X-Request-Id"] = request_id
        return response

    return middleware


def count_replies(respond: Respond) -> Respond:
    """Count replies and their times for `/metrics`; left out where no setting turns `/metrics` on."""
    if not (settings.METRICS_TOKEN or settings.METRICS_NETWORKS):
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = respond(request)
        cache = response.headers.get("Cache-Status", "")
        bars = ("hit" if cache.endswith("hit") else "miss") if cache else ""
        seconds = time.perf_counter() - began
        replies.count(_kind_of(request.path), response.status_code, seconds, bars)
        return response

    return middleware


def _kind_of(path: str) -> str:
    if path.startswith("/api/"):
        return "bars" if path == "/api/tv/ohlc" else "api"
    if path in ("/healthz", "/readyz", "/metrics"):
        return "probe"
    return "static" if path.startswith(settings.STATIC_URL) else "page"


def content_security_policy(respond: Respond) -> Respond:
    """Add the policy that lets a page load files of this service only, and no inline script."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = respond(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        is_framed = response.headers.get("X-Frame-Options") == "SAMEORIGIN"
        page_policy = _FRAMED_POLICY if is_framed else _PAGE_POLICY
        response.headers["Content-Security-Policy"] = page_policy if is_page else _DATA_POLICY
        return response

    return middleware


def connection_given_back(respond: Respond) -> Respond:
    """Give the database connection back before the reply is sent: a slow client would hold it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            return respond(request)
        finally:
            database.give_connection_back()

    return middleware


def distrust_after_changes(respond: Respond) -> Respond:
    """Make the changes of a request visible to the next read of this process; see `serving/trust.py`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        is_change = request.method not in ("GET", "HEAD", "OPTIONS")
        # The request of a fetch changes no dataset. Where the database is away, trust is all that readers have.
        if is_change and not (request.method == "POST" and request.path == _FETCHES):
            try:
                return respond(request)
            finally:
                distrust_all()
        return respond(request)

    return middleware


def limit_query(respond: Respond) -> Respond:
    """Refuse an overlong query string before any code parses or caches it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY:
            raise RequestDataTooBig(f"The query is longer than {MAX_QUERY:,} bytes.")
        return respond(request)

    return middleware


class LoginWall(LoginRequiredMiddleware):
    """With `API_ACCESS=login` every page requires sign-in; the API authenticates itself."""

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if strangers_may(Scope.READ):
            return None
        if not getattr(view_func, "login_required", True):
            # Checked here first: Django checks it after a query for the session's user.
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
