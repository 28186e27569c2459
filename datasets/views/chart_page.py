"""The chart page: the fetch form, the chart, and the menus of both."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from datasets.archive.archive_bodies import MOST_BARS
from datasets.serving.permissions import MAY_WATCH, Scope, is_allowed, strangers_may
from datasets.views import phrases, studies
from datasets.views.downloads import FORMAT_LINKS
from datasets.views.page_data import script_data, timeframes

# The names that `page/ranges.js` can show.
_RANGES = ["1D", "5D", "1M", "3M", "6M", "YTD", "1Y", "5Y"]
_IMPORTED = re.compile(r'from "(\.\.?/[\w/-]+\.js)"')
# Keys and actions, as `main.js` and `page/navigation.js` define them.
_SHORTCUTS: list[tuple[list[str], str]] = [
    (["/"], "Go to the symbol box"),
    (["Enter"], "Fetch the bars that the form names"),
    (["[", "]"], "Shorter, longer timeframe"),
    (["C"], "Next chart type"),
    (["L"], "Logarithmic scale"),
    (["P"], "Percent scale"),
    (["I"], "Indicators"),
    (
        ["1", "…", "7"],
        "Draw: trend line, ray, horizontal line, rectangle, Fibonacci, text, measure",
    ),
    (["D"], "Select the next drawing; the arrows then move it, with Shift ten times as far"),
    (["Enter"], "Place a point; of a selected drawing, choose a point or edit the text"),
    (["Del"], "Remove the selected drawing"),
    (["H"], "Hide or show the drawings"),
    (["Ctrl+Z"], "Undo a change of the drawings; with Shift, redo"),
    (["←", "→"], "Move over the bars (when the chart has the focus)"),
    (["+", "-"], "Zoom in, zoom out"),
    (["Home", "End"], "All bars, the newest bars"),
    (["F"], "Full screen"),
    (["S"], "Save the chart as an image"),
    (["T"], "Light or dark"),
    (["W"], "Watchlist beside the chart"),
    ([",", "."], "Previous, next chart, where several are shown"),
    (["A"], "Price alerts beside the chart"),
    (["Esc"], "Close, end a tool, or stop waiting"),
    (["?"], "This list"),
]


def chart(request: HttpRequest, *, is_framed: bool = False) -> HttpResponse:
    """Show the fetch form and an empty chart; the page's script reads the bars from the API.

    `is_framed` leaves out the parts that the page around a frame has.
    """
    menu = []
    for kind, defaults, color in studies.MENU:
        study = studies.STUDIES[kind]
        menu.append(
            {
                "kind": kind,
                "label": study.label,
                "color": color,
                "parameters": list(zip(study.parameters, defaults, strict=True)),
            }
        )
    context = {
        "is_framed": is_framed,
        "timeframes": timeframes(),
        "max_bars": settings.TV_MAX_BARS,
        "is_live": settings.TV_LIVE and settings.TV_ENABLED,
        # The archive may hold more bars than one fetch gives.
        "most_bars": MOST_BARS,
        "default_bars": min(5000, settings.TV_MAX_BARS),
        "sessions": phrases.SESSIONS.items(),
        "adjustments": phrases.ADJUSTMENTS.items(),
        "downloads": FORMAT_LINKS,
        "ranges": _RANGES,
        "studies": menu,
        "study_colors": studies.COLORS,
        "shortcuts": _SHORTCUTS,
        "may_watch": is_allowed(request.user, MAY_WATCH),
        "needs_token": not strangers_may(Scope.READ),
        "first_modules": ["js/first-bars.js", *imported_scripts("first-bars.js")],
        "modules": imported_scripts("main.js"),
        "later_modules": [
            name for name in imported_scripts("later.js") if name not in imported_scripts("main.js")
        ],
        "script_data": script_data(),
    }
    return render(request, "chart.html", context)


@cache
def imported_scripts(entry: str) -> list[str]:
    """Return the static names of all modules that the script `entry` imports, directly or not.

    The page names them, so that the browser loads all of them at once.
    """
    folder = Path(settings.BASE_DIR) / "static" / "js"
    found: set[str] = set()
    pending = [entry]
    while pending:
        module = pending.pop()
        named = _IMPORTED.findall((folder / module).read_text())
        imported = {
            posixpath.normpath(f"{posixpath.dirname(module)}/{name}".lstrip("/")) for name in named
        } - found
        found |= imported
        pending.extend(imported)
    return [f"js/{name}" for name in sorted(found)]
