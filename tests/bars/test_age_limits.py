"""A dataset that a fast clock has dated is stale, for every reader alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from datasets import serving
from datasets.bars import Timeframe, age_limits
from datasets.models import Dataset
from datasets.research.arguments import needs_fetch
from datasets.serving.bars_request import BarsRequest
from tests.support.factories import a_key

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=300"
NOW = datetime(2025, 3, 1, tzinfo=UTC)
WEEK_S = 7 * 24 * 3600


@pytest.mark.parametrize(
    ("age_s", "stale_for"), [(0, -60), (60, 0), (100, 40), (-5, -65), (-3 * 3600, math.inf)]
)
def test_what_was_fetched_in_the_future_is_stale_without_end(age_s: int, stale_for: float) -> None:
    fetched_at = NOW - timedelta(seconds=age_s)

    assert age_limits.stale_for(fetched_at, NOW, 60) == stale_for


@pytest.mark.parametrize("ttl_s", [0, WEEK_S], ids=["max_age", "TV_CACHE_TTL_S"])
def test_the_api_fetches_again_what_a_fast_clock_has_dated(
    make_dataset: MakeDataset,
    client: Client,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    ttl_s: int,
) -> None:
    handed_out: list[int] = []
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", handed_out.append)
    settings.TV_CACHE_TTL_S = ttl_s
    dataset = make_dataset(300)
    # Rendered, so that the short way could answer too.
    Dataset.objects.update(is_pinned=True)
    assert client.get(OHLC).status_code == 200
    Dataset.objects.update(is_pinned=False, fetched_at=timezone.now())
    query = OHLC + "&wait=0&max_stale=999999" + ("" if ttl_s else f"&max_age={WEEK_S}")
    assert client.get(query).status_code == 200

    Dataset.objects.update(fetched_at=timezone.now() + timedelta(hours=3))
    dataset.refresh_from_db()

    assert client.get(query).status_code == 202
    assert serving.is_stale(dataset, WEEK_S)
    found = serving.find_cached(BarsRequest(dataset.key, max_age_s=WEEK_S))
    assert found is not None
    assert found.is_stale


def test_the_loader_asks_for_it_again_too() -> None:
    def is_wanted(**age: float) -> bool:
        at = datetime.now(UTC) - timedelta(**age)
        known = {"fetched_at": at.isoformat()}
        return needs_fetch(a_key(timeframe=Timeframe.DAY_1.value), known, "stale")

    assert is_wanted(hours=-3)
    assert is_wanted(hours=25)
    assert not is_wanted(hours=1)
