"""Metrics that the catalog, the throttle and the disk hold; alike in each web process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Avg, Count, Max, Min, Q, QuerySet, Sum
from django.db.models.fields import IntegerField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from prometheus_client.core import GaugeMetricFamily

from datasets.catalog import outputs
from datasets.fetching import throttle, workers
from datasets.live.live_status import ConnectionState, live_status
from datasets.models import Dataset, Fetch, Incident, Revision, Series, database
from datasets.watchlists import count_schedules

Metrics = Iterator[GaugeMetricFamily]
_RECENT = timedelta(hours=1)
_STEPS = {"wait": "waited_ms", "feed": "fetched_ms", "store": "stored_ms"}


def fetch_metrics() -> Metrics:
    """Yield the queue, and the fetches that ended within the last hour."""
    now = database.shared_now()
    yield _by_labels(
        "tv_fetches_active", "Fetches that are queued or run.", ["state", "priority"],
        _with_priority(Fetch.objects.filter(state__in=Fetch.ACTIVE), "state"),
    )  # fmt: skip
    queued = Fetch.objects.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=now), state="queued")  # fmt: skip
    oldest = queued.aggregate(at=Min("requested_at"))["at"]
    yield GaugeMetricFamily(
        "tv_queue_age_seconds",
        "Age of the oldest fetch that could begin.",
        (now - oldest).total_seconds() if oldest else 0,
    )
    ended = Fetch.objects.filter(finished_at__gte=now - _RECENT)
    yield _by_labels(
        "tv_fetches_last_hour", "Fetches that ended within the last hour.",
        ["outcome", "code", "priority"], _with_priority(ended, "state", "error_code"),
    )  # fmt: skip
    for name, function in (("mean", Avg), ("max", Max)):
        found = ended.aggregate(**{step: function(column) for step, column in _STEPS.items()})
        family = GaugeMetricFamily(
            f"tv_fetch_{name}_seconds",
            f"The {name} time of a step of the fetches that ended within the last hour.",
            labels=["step"],
        )
        for step in _STEPS:
            family.add_metric([step], (found[step] or 0) / 1000)
        yield family


def throttle_metrics() -> Metrics:
    """Yield the calls that are left, and the cool-down."""
    left = throttle.calls_left()
    if left is not None:
        yield GaugeMetricFamily("tv_calls_left", "Calls to TradingView that may begin now.", left)
    yield GaugeMetricFamily(
        "tv_calls_per_minute_limit",
        "TV_RATE_PER_MINUTE; 0 for no limit.",
        settings.TV_RATE_PER_MINUTE,
    )
    yield GaugeMetricFamily(
        "tv_cool_down_seconds",
        "Seconds left of the pause after a refusal; 0 without one.",
        throttle.cool_down_left(),
    )


def worker_metrics() -> Metrics:
    """Yield the workers that are alive."""
    alive = dict.fromkeys([settings.TV_SOURCE], 0)
    alive |= dict(workers.alive().values_list("source").annotate(Count("pk")))
    yield _by_labels(
        "tv_workers_alive", "Workers seen within the last 30 s.", ["source"], alive.items()
    )


def live_metrics() -> Metrics:
    """Yield the live connection; nothing where live bars are off."""
    live = live_status()
    if live.state is ConnectionState.OFF:
        return
    values = {
        "tv_live_held": (
            "1 while a process holds the live connection.",
            live.held_since is not None,
        ),
        "tv_live_connected": (
            "1 while the live connection is open.",
            live.connected_at is not None,
        ),
        "tv_live_watched_series": ("Series that clients watch.", live.n_watched),
        "tv_live_followed_series": ("Series that the live connection receives.", live.n_followed),
        "tv_live_series_limit": ("TV_LIVE_SERIES.", live.n_most),
        "tv_live_opened": ("Live connections that were opened so far.", live.n_opened),
    }
    for name, (text, value) in values.items():
        yield GaugeMetricFamily(name, text, value)
    if live.heard_at is not None:
        age_s = (database.shared_now() - live.heard_at).total_seconds()
        yield GaugeMetricFamily(
            "tv_live_update_age_seconds", "Time since the last live update.", age_s
        )


def disk_metrics() -> Metrics:
    """Yield the free space below the outputs folder; nothing for a bucket."""
    free = outputs.get_store().free_bytes()
    if free is not None:
        yield GaugeMetricFamily("tv_disk_free_bytes", "Free space for the outputs folder.", free)


def catalog_metrics() -> Metrics:
    """Yield datasets, series, missing bars and revisions."""
    datasets = Dataset.objects.values_list("state").annotate(n=Count("pk"), size=Sum("bytes"))
    found = list(datasets)
    yield _by_labels(
        "tv_datasets", "Datasets of the catalog.", ["state"], [(row[0], row[1]) for row in found]
    )
    yield _by_labels(
        "tv_datasets_bytes", "Size of their files.", ["state"], [(row[0], row[2]) for row in found]
    )
    missing = Dataset.objects.filter(state=Dataset.State.READY, coverage__isnull=False).aggregate(
        n=Sum(Cast(KT("coverage__missing"), IntegerField()))
    )["n"]
    yield GaugeMetricFamily(
        "tv_missing_bars", "Bars that the gap reports of the datasets miss.", missing or 0
    )
    series = Series.objects.aggregate(n=Count("pk"), bars=Sum("n_rows"), holes=Sum("n_holes"))
    yield GaugeMetricFamily("tv_series", "Series of the archive.", series["n"])
    yield GaugeMetricFamily("tv_series_bars", "Bars of the archive.", series["bars"] or 0)
    yield GaugeMetricFamily(
        "tv_series_holes", "Times between two fetches that none covered.", series["holes"] or 0
    )
    incidents = Incident.objects.filter(closed_at=None).count()
    yield GaugeMetricFamily("tv_incidents_open", "Incidents that are not over.", incidents)
    yield _by_labels(
        "tv_revisions", "Revisions that audits have found.", ["finding", "state"],
        _counted(Revision.objects.all(), "finding", "state"),
    )  # fmt: skip


def watchlist_metrics() -> Metrics:
    """Yield the series of all watchlists by the state of their schedules, and the longest delay."""
    now = database.shared_now()
    counts = count_schedules(now)
    numbers = [(state.value, number) for state, number in counts.numbers.items()]
    yield _by_labels("tv_watched_series", "Series of the watchlists.", ["state"], numbers)
    yield GaugeMetricFamily(
        "tv_watched_overdue_seconds",
        "Time for which the longest overdue series of a watchlist waits for its fetch.",
        counts.overdue_s(now),
    )


# Each part, and the seconds for which its values are kept between two scrapes.
PARTS: dict[str, tuple[Callable[[], Metrics], float]] = {
    "fetches": (fetch_metrics, 0),
    "throttle": (throttle_metrics, 0),
    "workers": (worker_metrics, 0),
    "live": (live_metrics, 0),
    "disk": (disk_metrics, 0),
    "catalog": (catalog_metrics, 60),
    "watchlists": (watchlist_metrics, 60),
}


def _with_priority(fetches: QuerySet[Fetch], *columns: str) -> list[tuple[Any, ...]]:
    found = _counted(fetches, *columns, "priority")
    return [(*labels, Fetch.Priority(priority).label, n) for *labels, priority, n in found]


def _counted(rows: QuerySet[Any], *columns: str) -> list[tuple[Any, ...]]:
    """Return the columns and the number of rows of each combination."""
    grouped = rows.order_by(*columns).values_list(*columns).annotate(n=Count("pk"))
    return list(grouped)


def _by_labels(name: str, text: str, labels: list[str], rows: Any) -> GaugeMetricFamily:
    """Return a metric with one value for each row: the labels' values, then the number."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for *values, number in rows:
        family.add_metric([str(value) for value in values], number or 0)
    return family
