"""The pages, and what a load balancer asks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.db.utils import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from datasets.bars import Timeframe


def feed(request: HttpRequest) -> dict[str, Any]:
    """Tell every template which feed the bars come from (a context processor)."""
    return {"feed_source": settings.TV_SOURCE, "feed_is_sample": settings.TV_SOURCE == "sample"}


def chart(request: HttpRequest) -> HttpResponse:
    """The page with the fetch form and the chart; its script reads the API."""
    if settings.API_ACCESS == "login" and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    context = {
        "timeframes": [timeframe.value for timeframe in Timeframe],
        "max_bars": settings.TV_MAX_BARS,
    }
    return render(request, "chart.html", context)


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """The process can serve: the database answers and the outputs folder is there."""
    problems = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        problems.append("The database does not answer.")
    if not settings.OUTPUTS_DIR.is_dir():
        problems.append("The outputs folder is not there.")
    status = 503 if problems else 200
    return JsonResponse(
        {"status": "not ready" if problems else "ok", "problems": problems}, status=status
    )
