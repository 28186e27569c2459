"""Checks of closed bars: each new state of an archive is checked once for the alerts of its series."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby

from django.conf import settings
from django.db.models import F

from datasets.alerts.met_bars import CheckedBar, checked_bars, met_bars
from datasets.alerts.triggers import trigger
from datasets.archive.series_rows import folder_of
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.errors import DatasetsError
from datasets.models import PriceAlert, Series
from datasets.storage.archives.known_bars import read_known

logger = logging.getLogger(__name__)

# Alerts of one call, and bars that are read for them: more new bars are not checked.
_MOST_ALERTS = 500
_MOST_BARS = 20_000
_REBASED = (
    "The prices of the series have a new basis, as after a split or a dividend, and the price of the alert "
    "belongs to the earlier one. Set the price again."
)


def check_closed() -> int:
    """Check the closed bars that came since the last call; return the number of triggers.

    Costs one query without new bars. Any number of workers may call it at the same time, and one
    that dies leaves the rest to the next call. An archive that cannot be read is tried again.
    """
    behind = (
        PriceAlert.objects.filter(state=PriceAlert.State.ACTIVE, series__source=settings.TV_SOURCE)
        .exclude(checked_sequence=F("series__sequence"))
        .select_related("series")
        .order_by("series_id", "pk")[:_MOST_ALERTS]
    )
    n_triggers = 0
    for _, found in groupby(behind, key=lambda alert: alert.series_id):
        alerts = list(found)
        try:
            n_triggers += _check_series(alerts[0].series, alerts)
        except DatasetsError as error:
            logger.warning("%s: its alerts were not checked: %s", alerts[0].series, error)
    return n_triggers


def _check_series(series: Series, alerts: Sequence[PriceAlert]) -> int:
    """Check the alerts of one series; return the number of triggers. Raises the errors of `read_range`."""
    earlier = [alert.checked_through for alert in alerts]
    since = min((each for each in earlier if each is not None), default=None)
    known = read_known(folder_of(series.series_key), since, n_bars=_MOST_BARS)
    columns = (known.rows[name].to_pylist() for name in ("time", "open", "high", "low", "close"))
    rows = [(to_ms(opened), *prices) for opened, *prices in zip(*columns, strict=True)]
    bars = [
        bar
        for bar in checked_bars(series, rows, closed_by=known.fetched_at)
        if bar.opened_ms not in known.forming
    ]
    return sum(_check_alert(alert, bars) for alert in alerts)


def _check_alert(alert: PriceAlert, bars: Sequence[CheckedBar]) -> int:
    series, own = alert.series, PriceAlert.objects.filter(pk=alert.pk, armed_at=alert.armed_at)
    if alert.generation != series.generation:
        own.update(state=PriceAlert.State.PAUSED, pause_reason=_REBASED)
        return 0
    through = alert.checked_through
    new = bars if through is None else [bar for bar in bars if bar.opened_ms >= to_ms(through)]
    n_triggers = 0
    for met in met_bars(alert, new):
        if through is not None and met.opened_at <= through:
            # The bar only says what came before the new ones; a revised one does not count.
            continue
        n_triggers += trigger(alert, met)
        if not alert.repeats:
            break
    if new:
        through = to_instant(new[-1].opened_ms)
    own.update(checked_sequence=series.sequence, checked_through=through)
    return n_triggers
