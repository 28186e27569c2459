"""What the service is doing, for the API, the admin's start page and monitoring."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils import timezone

from datasets import fetching, throttle, tokens
from datasets.models import Dataset, Fetch


def describe() -> dict[str, Any]:
    """Return the state of the feed, the throttle, the queue and the disk. Holds no secret."""
    in_states = Counter(
        dict(
            Fetch.objects.filter(state__in=Fetch.ACTIVE).values_list("state").annotate(Count("pk"))
        )
    )
    totals = Dataset.objects.aggregate(
        number=Count("pk"), size=Sum("bytes", filter=Q(state__in=Dataset.ON_DISK))
    )
    return {
        "source": settings.TV_SOURCE,
        "version": settings.VERSION,
        "enabled": settings.TV_ENABLED,
        "sign_in": tokens.sign_in_state(),
        "tokens_left": throttle.tokens_left(),
        "cool_down_s": round(throttle.cool_down_left(), 1),
        "queued": in_states[Fetch.State.QUEUED],
        "running": in_states[Fetch.State.RUNNING],
        "datasets": totals["number"],
        "datasets_bytes": totals["size"] or 0,
        "free_bytes": fetching.get_store().free_bytes(),
    }


def failures_by_code(*, hours: int = 24) -> list[tuple[str, int]]:
    """Return how many fetches failed in the last hours for each error code, most first."""
    since = timezone.now() - timedelta(hours=hours)
    failed = Fetch.objects.filter(state=Fetch.State.FAILED, finished_at__gte=since)
    return list(
        failed.values_list("error_code").annotate(n=Count("pk")).order_by("-n", "error_code")
    )


def hit_rate() -> float | None:
    """Return the share of answers that needed no fetch, from 0 to 1; None before the first.

    Of the fetches whose rows are still there: `manage.py tidy` deletes old ones.
    """
    hits = Dataset.objects.aggregate(hits=Sum("hits"))["hits"] or 0
    fetched = Fetch.objects.filter(state=Fetch.State.SUCCEEDED).count()
    return hits / (hits + fetched) if hits + fetched else None
