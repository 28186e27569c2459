"""Checks of forming bars: the live bars of a series, as soon as they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasets.alerts.met_bars import checked_bars, met_bars
from datasets.alerts.triggers import trigger
from datasets.models import PriceAlert


def check_forming(bars_of: Mapping[int, Sequence[Sequence[Any]]]) -> int:
    """Check live bars for the alerts on forming bars; return the number of triggers.

    Costs one query. `bars_of` has the live bars of each series by its number, oldest first: the
    opening in UNIX seconds, open, high, low and close. The last one may be forming.
    """
    if not bars_of:
        return 0
    alerts = PriceAlert.objects.filter(
        state=PriceAlert.State.ACTIVE, series__in=list(bars_of), bars=PriceAlert.Bars.FORMING
    ).select_related("series")
    n_triggers = 0
    for alert in alerts:
        rows = [(round(row[0] * 1000), *row[1:5]) for row in bars_of[alert.series_id]]
        for met in met_bars(alert, checked_bars(alert.series, rows)):
            n_triggers += trigger(alert, met)
            if not alert.repeats:
                break
    return n_triggers
