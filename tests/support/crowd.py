"""Processes that fetch, read and count in one catalog at the same time, for `test_concurrency.py`."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Count, Sum
from django.utils import timezone

from datasets import catalog, serving
from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import StoreError
from datasets.fetching import attempt, feed_clients, fetch_queue
from datasets.models import Dataset, Fetch
from datasets.serving import usage
from datasets.serving.bars_request import BarsRequest
from datasets.serving.reply_bodies import bodies
from tests.support.factories import START, a_key, bars_table, fetched_bars
from tests.support.kill_points import Child, Outcome, send

# Few keys, so that the processes collide: keys of different series, or of one series, where each fetch
# contradicts the others.
OF_MANY_SERIES = [a_key(symbol=f"COIN{n_bars}", n_bars=n_bars) for n_bars in range(100, 112)]
OF_ONE_SERIES = [a_key(n_bars=n_bars) for n_bars in range(100, 112)]
KEYS = list(OF_MANY_SERIES)


class _Feed:
    """Answers at once, with different bars each time."""

    def fetch_bars(self, key: DatasetKey, **options: Any) -> FetchedBars:
        start = START + 3600 * random.randrange(100)
        return fetched_bars(bars_table(key.n_bars, start=start), fetched_at=timezone.now())


def main(n_processes: int, seconds: float, *, is_one_series: bool) -> None:
    """Let the processes work for the given seconds; print their counts and the state of the catalog."""
    KEYS[:] = OF_ONE_SERIES if is_one_series else OF_MANY_SERIES
    children = [Child(lambda hear, tell: send(tell, _work(seconds))) for _ in range(n_processes)]
    done = [child.hear() for child in children]
    for child in children:
        child.end()
    sys.stdout.write(json.dumps({"processes": done, "catalog": _take_stock()}))


def _work(seconds: float) -> Outcome:
    feed_clients._client_of = lambda *settings: _Feed()  # type: ignore[assignment]
    random.seed(os.getpid())
    counts: Counter[str] = Counter()
    longest: dict[str, float] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        (deed,) = random.choices(_DEEDS, weights=[4, 10, 1, 1])
        began = time.monotonic()
        try:
            counts[deed()] += 1
        except Exception as error:  # noqa: BLE001
            counts[f"error: {error!r}"] += 1
        took = time.monotonic() - began
        longest[deed.__name__] = max(took, longest.get(deed.__name__, 0.0))
    usage.flush()
    connection.close()
    return {"counts": counts, "longest": longest}


def _fetch() -> str:
    fetch, is_new = fetch_queue.open_fetch(random.choice(KEYS), via="api")
    if not is_new:
        return "joined"
    attempt.run_fetch(fetch.pk)
    return "fetched"


def _read() -> str:
    request = BarsRequest(random.choice(KEYS))
    answer = serving.find_cached(request)
    if answer is None:
        return "found nothing"
    try:
        body = json.loads(bodies.render(answer, request, accepts_gzip=False).body)
    except StoreError:
        # The dataset was invalidated meanwhile; the API searches again.
        return "overtaken"
    assert body["count"] == len(body["ohlc"]) == request.key.n_bars
    return "read"


def _flush() -> str:
    usage.flush()
    return "flushed"


def _sweep() -> str:
    fetch_queue.next_fetches(at_most=10)
    return "swept"


_DEEDS: list[Callable[[], str]] = [_fetch, _read, _flush, _sweep]


def _take_stock() -> Outcome:
    states = Fetch.objects.order_by().values_list("state").annotate(Count("pk"))
    return {
        "fetches": dict(states),
        "hits": Dataset.objects.aggregate(hits=Sum("hits"))["hits"],
        "found": Counter(catalog.verify(dataset).outcome for dataset in Dataset.objects.all()),
    }
