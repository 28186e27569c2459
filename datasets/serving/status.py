"""The state of the service, for the API, the admin's start page and monitoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Count, Q, Sum

from datasets.catalog import outputs
from datasets.errors import Unavailable
from datasets.fetching import credentials, throttle, workers
from datasets.models import Dataset, Fetch, database
from datasets.outages import named_outages

Known = TypeVar("Known")

# Fewer rows are counted for each reply.
_COUNTED_EACH_TIME = 100_000
_KEPT_FOR = timedelta(minutes=1)
_WORKER_FIELDS = ("name", "host", "source", "started_at", "seen_at")


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of the whole catalog, and the instant (UTC) at which they were counted."""

    datasets: int
    bytes_on_disk: int
    hits: int
    fetched: int
    counted_at: datetime


_kept_totals: Totals | None = None


def totals() -> Totals:
    """Return the numbers of the whole catalog.

    Above `_COUNTED_EACH_TIME` datasets they are up to `_KEPT_FOR` old, because the database reads all rows for them.
    """
    global _kept_totals
    now, kept = database.shared_now(), _kept_totals
    if kept is not None and timedelta(0) <= now - kept.counted_at < _KEPT_FOR:
        return kept
    found = Dataset.objects.aggregate(
        number=Count("pk"),
        size=Sum("bytes", filter=Q(state__in=Dataset.ON_DISK)),
        hits=Sum("hits"),
    )
    fetched = Fetch.objects.filter(state=Fetch.State.SUCCEEDED).count()
    counted = Totals(found["number"], found["size"] or 0, found["hits"] or 0, fetched, now)
    _kept_totals = counted if counted.datasets > _COUNTED_EACH_TIME else None
    return counted


def describe() -> dict[str, Any]:
    """Return the state of the feed, the throttle, the queue and the disk. Holds no secret.

    Values that only the cache holds are None while the cache is away; `problems` names the outage.
    """
    problems: list[str] = []
    cool_down_s, reason = _known(_cool_down, problems) or (None, None)
    in_states = Counter(
        dict(
            Fetch.objects.filter(state__in=Fetch.ACTIVE).values_list("state").annotate(Count("pk"))
        )
    )
    whole = totals()
    return {
        "source": settings.TV_SOURCE,
        "version": settings.VERSION,
        "enabled": settings.TV_ENABLED,
        "sign_in": _known(credentials.sign_in_state, problems)
        or {
            "kind": credentials.credentials().kind,
            "state": "unknown",
            "code": None,
            "message": None,
        },
        "tokens_left": _known(throttle.calls_left, problems),
        "calls_per_minute": settings.TV_RATE_PER_MINUTE or None,
        "cool_down_s": cool_down_s,
        "cool_down_reason": reason,
        "queued": in_states[Fetch.State.QUEUED],
        "running": in_states[Fetch.State.RUNNING],
        "datasets": whole.datasets,
        "datasets_bytes": whole.bytes_on_disk,
        "counted_at": whole.counted_at,
        "free_bytes": outputs.get_store().free_bytes(),
        "workers": [
            {name: getattr(worker, name) for name in _WORKER_FIELDS} for worker in workers.alive()
        ],
        # One sentence for each outage, however many values it makes unknown.
        "problems": list(dict.fromkeys(problems)),
    }


def _cool_down() -> tuple[float, str | None]:
    running = throttle.running_cool_down()
    return (round(running.left_s, 1), running.text) if running else (0.0, None)


def _known(look: Callable[[], Known], problems: list[str]) -> Known | None:
    """Return the result of `look`; in an outage, None, and add a sentence to `problems`."""
    try:
        with named_outages():
            return look()
    except Unavailable as error:
        problems.append(str(error))
        return None


def failures_by_code(*, hours: int = 24) -> list[tuple[str, int]]:
    """Return how many fetches failed in the last hours for each error code, most first."""
    since = database.shared_now() - timedelta(hours=hours)
    failed = Fetch.objects.filter(state=Fetch.State.FAILED, finished_at__gte=since)
    return list(
        failed.values_list("error_code").annotate(n=Count("pk")).order_by("-n", "error_code")
    )


def hit_rate() -> float | None:
    """Return the share of answers that needed no fetch, from 0 to 1; None before the first.

    Counts fetches that still have a row; `manage.py tidy` deletes old rows.
    """
    whole = totals()
    answers = whole.hits + whole.fetched
    return whole.hits / answers if answers else None
