"""The pages, and what a load balancer asks."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from datasets.bars import Adjustment, Session, Timeframe
from datasets.serving import health

# What the chart page offers; the names are the ones that its scripts and addresses use.
_SESSIONS = {Session.REGULAR: "Regular hours", Session.EXTENDED: "Extended hours"}
_ADJUSTMENTS = {
    Adjustment.SPLITS: "Splits",
    Adjustment.DIVIDENDS: "Splits and dividends",
    Adjustment.NONE: "Nothing",
}
_UNITS = {"m": "minute", "h": "hour", "D": "day", "W": "week", "M": "month"}
_RANGES = ["1D", "5D", "1M", "3M", "6M", "YTD", "1Y", "5Y"]
_PERIOD = {"label": "period", "min": 2, "max": 1000, "step": 1}
_STUDIES: list[tuple[str, str, list[int]]] = [
    ("sma", "Moving average", [20]),
    ("sma", "Moving average", [50]),
    ("ema", "Exponential average", [21]),
    ("bb", "Bollinger bands", [20, 2]),
    ("vwap", "VWAP of the day", []),
    ("rsi", "RSI", [14]),
]
_IMPORTED = re.compile(r'from "\./([\w-]+\.js)"')
_SHORTCUTS: list[tuple[list[str], str]] = [
    (["/"], "Go to the symbol box"),
    (["Enter"], "Fetch what the form says"),
    (["[", "]"], "Shorter, longer timeframe"),
    (["C"], "Next chart type"),
    (["L"], "Logarithmic scale"),
    (["P"], "Percent scale"),
    (["I"], "Indicators"),
    (["←", "→"], "Move over the bars (when the chart has the focus)"),
    (["+", "-"], "Zoom in, zoom out"),
    (["Home", "End"], "All bars, the newest bars"),
    (["F"], "Full screen"),
    (["S"], "Save the chart as an image"),
    (["T"], "Light or dark"),
    (["Esc"], "Close, or stop waiting"),
    (["?"], "This sheet"),
]


def feed(request: HttpRequest) -> dict[str, Any]:
    """Tell every template which feed the bars come from (a context processor)."""
    return {"feed_source": settings.TV_SOURCE, "feed_is_sample": settings.TV_SOURCE == "sample"}


def chart(request: HttpRequest) -> HttpResponse:
    """The page with the fetch form and the chart; its script reads the API."""
    context = {
        "timeframes": [_timeframe(timeframe) for timeframe in Timeframe],
        "max_bars": settings.TV_MAX_BARS,
        "default_bars": min(5000, settings.TV_MAX_BARS),
        "sessions": [{"value": value.value, "label": label} for value, label in _SESSIONS.items()],
        "adjustments": [
            {"value": value.value, "label": label} for value, label in _ADJUSTMENTS.items()
        ],
        "ranges": _RANGES,
        "studies": [_study(*study) for study in _STUDIES],
        "shortcuts": _SHORTCUTS,
        "modules": _page_modules(),
    }
    return render(request, "chart.html", context)


def _timeframe(timeframe: Timeframe) -> dict[str, str]:
    """Return a timeframe's value, the label of its button, and its name in words."""
    label = timeframe.label
    number, unit = label[:-1], _UNITS[label[-1]]
    plural = "" if number == "1" else "s"
    return {"value": timeframe.value, "label": label, "title": f"{number} {unit}{plural}"}


def _study(kind: str, label: str, defaults: list[int]) -> dict[str, Any]:
    """Return a line of the indicators' menu."""
    parameters = [_PERIOD | {"default": number} for number in defaults]
    if kind == "bb":
        parameters[1] = {"label": "width", "min": 0.5, "max": 10, "step": 0.5, "default": 2}
    return {"kind": kind, "label": label, "parameters": parameters}


@cache
def _page_modules() -> list[str]:
    """Return the modules that the chart page's script imports, for the browser to load at once."""
    folder = Path(settings.BASE_DIR) / "static" / "js"
    found: set[str] = set()
    pending = ["main.js"]
    while pending:
        imported = set(_IMPORTED.findall((folder / pending.pop()).read_text())) - found
        found |= imported
        pending.extend(imported)
    return [f"js/{name}" for name in sorted(found)]


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Everything is there to serve and to fetch; else 503, and what is missing by its name."""
    missing = health.missing()
    body = {
        "status": "not ready" if missing else "ok",
        "missing": list(missing),
        "problems": list(missing.values()),
    }
    return JsonResponse(body, status=503 if missing else 200)
