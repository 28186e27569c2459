"""The throttle: one limit for many processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from datasets import errors
from datasets.fetching import throttle
from tests.support.stacks import Feed, Stack, wait_until

SYMBOLS = [f"LOAD:S{number}" for number in range(20)]


def most_in_any_window(moments: list[float], seconds: float) -> int:
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.slow
def test_four_workers_share_one_limit(
    clean_feed: Feed, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    """With 120 calls a minute and a burst of 4, the feed gets at most 4 calls in any 2 s."""
    settings = {"TV_RATE_PER_MINUTE": "120", "TV_BURST": "4"}
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        settings |= {"CACHE_URL": url, "CELERY_BROKER_URL": url}
    stack = Stack(tmp_path, clean_feed, **settings)
    try:
        for _ in range(4):
            stack.start_worker()
        stack.start_web()
        body = {"symbols": SYMBOLS, "n_bars": 10}
        reply = requests.post(f"{stack.url}/api/tv/fetches", json=body, timeout=10)
        ids = [row["id"] for row in reply.json()["fetches"]]

        def all_ended() -> bool:
            rows = stack.get("fetches", page_size=100).json()["results"]
            return [row["state"] for row in rows] == ["succeeded"] * len(ids)

        wait_until(all_ended, seconds=60, what="the last fetch")
        waited = [row["waited_ms"] for row in stack.get("fetches", page_size=100).json()["results"]]
    finally:
        stack.stop()

    moments = clean_feed.stats()["create_series_at"]
    assert len(moments) == len(SYMBOLS)
    assert most_in_any_window(moments, 2.0) <= 4 + 1
    assert max(waited) > 500


def test_without_a_limit_no_call_waits(settings: Any) -> None:
    settings.TV_RATE_PER_MINUTE = 0

    assert throttle.wait_for_call() < 0.1
    assert throttle.calls_left() is None


@pytest.fixture
def paced(settings: Any, tmp_path: Path) -> None:
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST = 60, 2
    settings.STATE_DIR = tmp_path


@pytest.mark.usefixtures("paced")
def test_a_burst_begins_at_once_and_the_next_call_waits() -> None:
    assert throttle.calls_left() == 2
    started = time.monotonic()

    waits = [throttle.wait_for_call() for _ in range(3)]

    assert waits[0] < 0.5
    assert waits[1] < 0.5
    assert 2 < time.monotonic() - started < 5
    assert throttle.calls_left() in (0, 1)


@pytest.mark.usefixtures("paced")
def test_a_call_that_must_not_wait_is_refused() -> None:
    for _ in range(2):
        throttle.wait_for_call(purpose="searches")

    with pytest.raises(errors.RateLimited, match="Too many searches"):
        throttle.wait_for_call(purpose="searches", at_most_s=0.1)
    assert throttle.wait_for_call(purpose="fetches") < 0.5


@pytest.mark.usefixtures("paced")
def test_on_wait_can_end_a_wait() -> None:
    class GivenUp(Exception):
        pass

    def give_up(seconds: float) -> None:
        assert 0 < seconds < 60
        raise GivenUp

    for _ in range(2):
        throttle.wait_for_call()
    with pytest.raises(GivenUp):
        throttle.wait_for_call(give_up)
