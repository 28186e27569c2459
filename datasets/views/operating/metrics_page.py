"""`/metrics`: the metrics of the service for Prometheus, for callers that the settings name."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from datasets.monitoring.exposition import metrics_text
from datasets.serving import clients


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics; 404 where no setting allows them, 401 or 403 to other callers."""
    if not (settings.METRICS_TOKEN or settings.METRICS_NETWORKS):
        raise Http404
    if settings.METRICS_NETWORKS and not _is_in_networks(clients.address_of(request)):
        return _refusal(403, "METRICS_NETWORKS does not contain your address.")
    if settings.METRICS_TOKEN and not _has_token(request):
        reply = _refusal(401, "Send METRICS_TOKEN: Authorization: Bearer …")
        reply.headers["WWW-Authenticate"] = "Bearer"
        return reply
    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE_LATEST)


def _is_in_networks(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in settings.METRICS_NETWORKS)


def _has_token(request: HttpRequest) -> bool:
    sent = request.headers.get("Authorization", "")
    expected = f"Bearer {settings.METRICS_TOKEN}"
    return hmac.compare_digest(sent.encode(), expected.encode())


def _refusal(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
