"""Data for all pages: the feed's name for the templates, and the tables of the service for the scripts.

The scripts read the tables from a JSON data block. The Content-Security-Policy forbids inline
scripts that run, but a data block does not run.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.html import json_script
from django.utils.safestring import SafeString

from datasets.bars import BarLength, Timeframe
from datasets.views import phrases, studies
from datasets.views.advice import ADVICE
from datasets.views.incidents.incident_page import open_incidents

# Timeframes that the page offers beside those that TradingView sends. An address may name any other.
_MADE = ("6h", "12h", "2D", "2W", "3M", "6M", "12M")
# Name and length in seconds of each unit. A month is as long as the longest one.
_UNITS = {
    "m": ("minute", 60),
    "h": ("hour", 3600),
    "D": ("day", 86_400),
    "W": ("week", 7 * 86_400),
    "M": ("month", 31 * 86_400),
}


def feed(request: HttpRequest) -> dict[str, Any]:
    """Add the bars' source, and the open incidents, to the context of every template (a context processor)."""
    return {
        "feed_source": settings.TV_SOURCE,
        "feed_is_sample": settings.TV_SOURCE == "sample",
        # A function, so that only a page for staff makes its query.
        "open_incidents": open_incidents,
    }


@cache
def timeframes() -> list[dict[str, Any]]:
    """Return value, label, title, greatest length in seconds and `is_intraday` of each timeframe."""
    rows = []
    for length in map(BarLength.parse, (*Timeframe, *_MADE)):
        number, (unit, seconds) = int(length.label[:-1]), _UNITS[length.label[-1]]
        title = f"{number} {unit}" if number == 1 else f"{number} {unit}s"
        rows.append(
            {
                "value": length.value,
                "label": length.label,
                "title": title if length.fetched else f"{title}, made of {length.base.label}",
                "seconds": number * seconds,
                "is_intraday": length.minutes is not None,
            }
        )
    return sorted(rows, key=lambda row: row["seconds"])


@cache
def script_data() -> SafeString:
    """Return the data block that `shared/page-data.js` reads."""
    tables = {
        "sources": phrases.SOURCES,
        "adjustments": phrases.ADJUSTMENTS,
        "timeframes": timeframes(),
        "studies": studies.script_table(),
        "advice": {code: asdict(advice) for code, advice in ADVICE.items()},
    }
    return json_script(tables, "page-data")
