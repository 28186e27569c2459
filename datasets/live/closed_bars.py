"""Fetches of closed bars: the archive gets a bar by a fetch after its close, never from a live update."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from django.conf import settings
from django.db import transaction

from datasets.bars import DatasetKey
from datasets.calendars.gap_findings import to_instant
from datasets.errors import DatasetsError
from datasets.fetching import fetch_queue, tasks
from datasets.models import Dataset, Fetch, Series
from datasets.tradingview.updates.subscription import Subscription

logger = logging.getLogger(__name__)

# Seconds between the close of a bar, with the feed's delay, and its fetch: late trades still change it.
SETTLE_S = 2.0
# At most this part of the allowed calls to TradingView fetches closed bars.
_PART_OF_CALLS = 0.5
_RETRY_S = 60.0


class ClosedBars:
    """Requests a fetch of a series when the archive lacks a bar that has closed."""

    def __init__(self) -> None:
        # Of each series: the newest closed bar whose fetch was requested, and when (steady clock).
        self._requested: dict[int, tuple[float, float]] = {}

    def request(
        self, series: Series, subscription: Subscription, now: datetime, *, n_series: int
    ) -> None:
        """Request the fetch of the series' closed bars where it is time for it.

        `n_series` watched series share the calls to TradingView.
        """
        closed_s = newest_closed(subscription, now)
        if closed_s is None or _is_held(series, closed_s):
            return
        requested_s, at_s = self._requested.get(series.pk, (0.0, float("-inf")))
        pause_s = (
            _pause_s(n_series) if closed_s > requested_s else max(_RETRY_S, _pause_s(n_series))
        )
        if time.monotonic() < at_s + pause_s:
            return
        self._requested[series.pk] = (closed_s, time.monotonic())
        try:
            request_fetch(series)
        except DatasetsError as error:
            logger.warning("%s: its closed bars were not requested: %s", series, error)


def newest_closed(subscription: Subscription, now: datetime) -> float | None:
    """Return the opening of the newest bar that has closed `SETTLE_S` ago, UNIX seconds; None without one."""
    bars, close_s = subscription.bars, subscription.close_time
    if not bars:
        return None
    if close_s is not None and close_s + SETTLE_S <= now.timestamp():
        return bars[-1][0]
    # The bar before the newest one has closed, because the newest one exists.
    is_settled = bars[-1][0] + subscription.instrument.delay_s + SETTLE_S <= now.timestamp()
    return bars[-2][0] if len(bars) > 1 and is_settled else None


def request_fetch(series: Series) -> Fetch:
    """Queue a fetch of the bars that the archive of the series lacks; raise `QueueFull`."""
    with transaction.atomic():
        fetch, is_new = fetch_queue.open_fetch(
            _key_of(series), via="live", priority=Fetch.Priority.SCHEDULE
        )
        if is_new:
            transaction.on_commit(lambda: tasks.enqueue(fetch.pk))
    return fetch


def _key_of(series: Series) -> DatasetKey:
    """Return the key of the largest dataset that a fetch may replace, else of one beside the pinned ones."""
    datasets = series.datasets.exclude(state=Dataset.State.SUPERSEDED).order_by("-n_bars")
    pinned = {dataset.n_bars for dataset in datasets if dataset.is_pinned}
    free = [dataset.n_bars for dataset in datasets if not dataset.is_pinned]
    first = free[0] if free else min(500, settings.TV_MAX_BARS)
    n_bars = next(number for number in range(first, 0, -1) if number not in pinned)
    return series.series_key.dataset(n_bars)


def _is_held(series: Series, closed_s: float) -> bool:
    opened = to_instant(round(closed_s * 1000))
    if series.last_time != opened:
        return series.last_time > opened
    return series.last_bar_final


def _pause_s(n_series: int) -> float:
    """Return the shortest time between two such fetches of one series."""
    if not settings.TV_RATE_PER_MINUTE:
        return 0.0
    return 60.0 * n_series / (settings.TV_RATE_PER_MINUTE * _PART_OF_CALLS)
