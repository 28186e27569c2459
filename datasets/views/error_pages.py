"""Replies for errors outside of the views: problem+json below /api/ and /udf/, else a plain page."""

from __future__ import annotations

import sys

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.template import loader

from datasets.api.exceptions import of_error, problem
from datasets.outages import outage_of

# `/udf/` gets its own form from `udf/path_tokens.py`.
_DATA_PATHS = ("/api/", "/udf/")
_INTERNAL = "An unexpected error happened. The service's log has the details."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a malformed request."""
    # The texts of other exceptions are meant for a log, and repeat the client's input.
    is_ours = isinstance(exception, RequestDataTooBig)
    detail = str(exception) if is_ours else "The request is malformed."
    return _answer(request, 400, "invalid_request", "Invalid request", detail)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a caller without the permission for a page."""
    return _answer(request, 403, "forbidden", "Not allowed", "This account may not do that.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid CSRF token: it came from another site, or from a page that is too old."""
    detail = "The form was not sent from this site, or cookies are off. Reload the page and try again."  # fmt: skip
    return _answer(request, 403, "forbidden", "Not allowed", detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown address."""
    return _answer(request, 404, "not_found", "Not found", "There is no page at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an unhandled exception: 503 for an outage of our database, cache or disk, else 500.

    The reply to an unexpected error has no details; the log has them.
    """
    # Django calls this function inside its `except` block.
    outage = outage_of(sys.exc_info()[1])
    if outage is None:
        return _answer(request, 500, "internal_error", "Internal error", _INTERNAL)
    if request.path.startswith(_DATA_PATHS):
        return of_error(outage)
    response = _answer(request, 503, outage.code, "Not available now", str(outage))
    response["Retry-After"] = f"{outage.retry_after_s:.0f}"
    return response


def _answer(request: HttpRequest, status: int, code: str, title: str, detail: str) -> HttpResponse:
    if request.path.startswith(_DATA_PATHS):
        # Not marked as retryable: the same request would fail in the same way.
        return problem(status, code=code, title=title, detail=detail)
    # After a failure of the server without the request: context processors could raise the same
    # error again. An error before the sign-in was read has no user to show.
    shown = request if status < 500 and hasattr(request, "user") else None
    page = loader.render_to_string("error.html", {"title": title, "detail": detail}, shown)
    return HttpResponse(page, status=status)
