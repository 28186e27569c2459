"""What Django shows when no view answers: problem+json below /api/, else a plain page."""

from __future__ import annotations

import sys

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.template import loader

from datasets.api.exceptions import of_error, problem
from datasets.errors import Unavailable
from datasets.outages import outage_of

_INTERNAL = "Something went wrong that nobody foresaw. It has been written to the service's log."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that is not even one."""
    # Other sentences are made for a log, and repeat what the client sent.
    is_ours = isinstance(exception, RequestDataTooBig)
    detail = str(exception) if is_ours else "The request is malformed."
    return _answer(request, 400, "invalid_request", "Invalid request", detail)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer who may not see a page."""
    return _answer(request, 403, "forbidden", "Not allowed", "This account may not do that.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that did not come from one of our pages, or from one that is too old."""
    detail = "The form was not sent from this site, or cookies are off. Reload the page and try again."  # fmt: skip
    return _answer(request, 403, "forbidden", "Not allowed", detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that is none."""
    return _answer(request, 404, "not_found", "Not found", "There is no page at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer after a server of ours was away, or after an error that nobody foresaw.

    Of the latter the log alone tells what it was.
    """
    # Django calls this while it handles the error.
    outage = outage_of(sys.exc_info()[1])
    if outage is not None:
        return _answer_outage(request, outage)
    return _answer(request, 500, "internal_error", "Internal error", _INTERNAL)


def _answer_outage(request: HttpRequest, outage: Unavailable) -> HttpResponse:
    if request.path.startswith("/api/"):
        return of_error(outage)
    response = _answer(request, 503, outage.code, "Not available now", str(outage))
    response["Retry-After"] = f"{outage.retry_after_s:.0f}"
    return response


def _answer(request: HttpRequest, status: int, code: str, title: str, detail: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        # Asked again, the same would happen: an error of ours is not a matter of luck.
        return problem(status, code=code, title=title, detail=detail)
    # Without the request: whatever failed must not fail again.
    page = loader.render_to_string("error.html", {"title": title, "detail": detail})
    return HttpResponse(page, status=status)
