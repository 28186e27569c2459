"""The two probes of a load balancer: the process answers, and the service is ready."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse

from datasets.serving import health


@login_not_required
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process runs."""
    return JsonResponse({"status": "ok"})


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the service can serve and fetch bars; else 503 with the names of the missing parts."""
    missing = health.missing()
    body = {
        "status": "not ready" if missing else "ok",
        "missing": list(missing),
        "problems": list(missing.values()),
    }
    return JsonResponse(body, status=503 if missing else 200)
