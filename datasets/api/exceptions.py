"""Error replies: the only place that turns an error into RFC 9457 `application/problem+json`."""

from __future__ import annotations

import math
from typing import Any

import orjson
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as drf
from rest_framework.views import set_rollback

from datasets import errors
from datasets.api.failure_log import log_failure
from datasets.outages import outage_of

PROBLEM_JSON = "application/problem+json"

# Every status of every error. The user asked for 500 when a fetch fails; `code` says how.
_STATUS: list[tuple[type[errors.DatasetsError], int, str]] = [
    (errors.InvalidRequest, 400, "Invalid request"),
    (errors.NotFound, 404, "Not found"),
    (errors.ChangedMeanwhile, 412, "Changed meanwhile"),
    (errors.Disabled, 503, "Service turned off"),
    (errors.Forbidden, 403, "Not allowed"),
    (errors.TooManyRequests, 429, "Too many requests"),
    (errors.Busy, 503, "Busy"),
    (errors.Unavailable, 503, "Not available now"),
    (errors.QueueFull, 503, "Queue full"),
    (errors.FetchCancelled, 409, "Fetch cancelled"),
    (errors.FetchError, 500, "Fetch failed"),
    (errors.StoreError, 500, "Dataset unreadable"),
]
_DRF_CODES: dict[int, tuple[str, str]] = {
    401: ("not_authenticated", "Sign in first"),
    403: ("forbidden", "Not allowed"),
    404: ("not_found", "Not found"),
    429: ("too_many_requests", "Too many requests"),
}


def problem(
    status: int,
    *,
    code: str,
    title: str,
    detail: str,
    retryable: bool = False,
    retry_after_s: float | None = None,
    fields: dict[str, list[str]] | None = None,
) -> HttpResponse:
    """Return an error reply; `fields` maps each wrong parameter to what is allowed."""
    body: dict[str, Any] = {
        "type": f"/api/docs/errors#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
    }
    if status == 400:
        # Present in every 400, also where no single parameter is wrong.
        body["errors"] = fields or {"request": [detail]}
    response = HttpResponse(orjson.dumps(body), status=status, content_type=PROBLEM_JSON)
    response["Cache-Control"] = "no-store"
    if retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(retry_after_s))
    return response


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return the reply for `error`; DRF calls this. None for an unforeseen error: Django answers 500."""
    # The driver's message goes to the log only: it may name hosts and paths.
    reason, error = str(error), outage_of(error) or error
    if isinstance(error, errors.DatasetsError):
        response = of_error(error)
        if response.status_code >= 500:
            subject = getattr(error, "subject", "")
            log_failure(context["request"], subject=subject, code=error.code, detail=reason)
        return response
    if isinstance(error, Http404):
        error = drf.NotFound()
    elif isinstance(error, PermissionDenied):
        error = drf.PermissionDenied()
    if not isinstance(error, drf.APIException):
        return None
    set_rollback()
    response = _of_drf_error(error)
    if isinstance(error, drf.NotAuthenticated | drf.AuthenticationFailed):
        response["WWW-Authenticate"] = getattr(error, "auth_header", "") or "Basic"
    return response


def status_of(kind: type[errors.DatasetsError]) -> int:
    """Return the HTTP status that this kind of error gets."""
    return _status_and_title(kind)[0]


def _status_and_title(kind: type[errors.DatasetsError]) -> tuple[int, str]:
    found = ((status, title) for known, status, title in _STATUS if issubclass(kind, known))
    return next(found, (500, "Error"))


def of_error(error: errors.DatasetsError) -> HttpResponse:
    """Return the reply for an error of ours."""
    status, title = _status_and_title(type(error))
    return problem(
        status,
        code=error.code,
        title=title,
        detail=str(error),
        retryable=error.retryable,
        retry_after_s=getattr(error, "retry_after_s", None),
        fields=error.errors if isinstance(error, errors.InvalidRequest) else None,
    )


def _of_drf_error(error: drf.APIException) -> HttpResponse:
    if isinstance(error, drf.ValidationError):
        fields = _messages(error.detail)
        detail = " ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items())
        return problem(
            400, code="invalid_request", title="Invalid request", detail=detail, fields=fields
        )
    status = error.status_code
    code, title = _DRF_CODES.get(status, ("invalid_request", "Invalid request"))
    wait = getattr(error, "wait", None)
    return problem(
        status,
        code=code,
        title=title,
        detail=str(error.detail),
        retryable=status == 429,
        retry_after_s=wait,
    )


def _messages(detail: Any) -> dict[str, list[str]]:
    """Return DRF's validation detail as field → messages."""
    if isinstance(detail, dict):
        return {
            str(name): [str(text) for text in _as_list(texts)] for name, texts in detail.items()
        }
    return {"request": [str(text) for text in _as_list(detail)]}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@csrf_exempt
@login_not_required
def api_not_found(request: HttpRequest, path: str = "") -> HttpResponse:
    """Return 404 for an address under /api/ that does not exist."""
    return problem(
        404,
        code="not_found",
        title="Not found",
        detail=f"There is nothing at {request.path}; see /api/docs/.",
    )
