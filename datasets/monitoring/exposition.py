"""The text of `/metrics`, in the format of Prometheus."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from datasets.errors import Unavailable
from datasets.monitoring.catalog_metrics import PARTS
from datasets.monitoring.reply_counts import BOUNDS_S, replies
from datasets.outages import named_outages

_UPPER = [*map(str, BOUNDS_S), "+Inf"]


def metrics_text() -> bytes:
    """Return all metrics; the metrics of a part that cannot be read are left out, and `tv_part_up` is 0."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_collector)
    return generate_latest(registry)


class ServiceCollector(Collector):
    """Collects the metrics of the service at each scrape."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, list[Any]]] = {}

    def describe(self) -> list[Any]:
        """Return nothing: the metrics are read at a scrape only."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield every metric of the catalog, then those of the web processes."""
        build = GaugeMetricFamily("tv_build_info", "The version, as a label.", labels=["version", "source"])  # fmt: skip
        build.add_metric([settings.VERSION, settings.TV_SOURCE], 1)
        yield build
        up = GaugeMetricFamily("tv_part_up", "Whether the metrics of a part could be read.", labels=["part"])  # fmt: skip
        for part in PARTS:
            try:
                # One at a time: scrapes by several servers must not read the catalog at once.
                with self._lock, named_outages():
                    yield from self._read(part)
                up.add_metric([part], 1)
            except Unavailable:
                up.add_metric([part], 0)
        yield up
        yield from _reply_metrics()

    def _read(self, part: str) -> list[Any]:
        read, keep_s = PARTS[part]
        at, metrics = self._kept.get(part, (float("-inf"), []))
        if not keep_s or time.monotonic() - at >= keep_s:
            metrics = list(read())
            self._kept[part] = (time.monotonic(), metrics)
        return metrics


_collector = ServiceCollector()


def _reply_metrics() -> Iterator[Any]:
    times = HistogramMetricFamily(
        "tv_reply_seconds",
        "Time from a request to the head of its reply.",
        labels=["kind", "status", "process"],
    )
    bars = CounterMetricFamily(
        "tv_bars_replies",
        "Replies with bars, by their source: hit (stored) or miss (fetched for the request).",
        labels=["cache", "process"],
    )
    for process, counts in replies.of_all_processes():
        for (kind, status), each in sorted(counts.times.items()):
            buckets = list(zip(_UPPER, accumulate(each.numbers), strict=True))
            times.add_metric([kind, status, process], buckets, each.sum_s)
        for cache in ("hit", "miss"):
            bars.add_metric([cache, process], counts.bars[cache])
    yield from (times, bars)
