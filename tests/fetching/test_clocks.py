"""Clocks that jump or differ between hosts, and servers that restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from datasets.errors import CacheUnavailable, RateLimited
from datasets.fetching import fetch_queue, tasks, throttle
from datasets.fetching.call_log import CallLog, FileLog, Note, RedisLog, Window
from tests.support import servers
from tests.support.factories import a_key
from tests.support.stacks import free_port, wait_until

HOURS_3 = 3 * 3600
WINDOWS = [Window(2, 1000), Window(3, 60_000)]


@pytest.fixture(params=["file", "redis"])
def location(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> str:
    """Keep the throttle in a file or on Redis."""
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST = 60, 2
    settings.STATE_DIR = tmp_path
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    settings.ENV = settings.ENV | {"CACHE_URL": url}
    return url or str(tmp_path / "calls.sqlite3")


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that sets the host's clock a number of seconds ahead of the true time."""
    now, now_ns = time.time, time.time_ns

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))

    yield set_to


def wait_now() -> float:
    """Return the seconds until the next call may begin."""
    waits = []

    class Enough(Exception):
        pass

    def note(seconds: float) -> None:
        waits.append(seconds)
        raise Enough

    try:
        throttle.wait_for_call(note)
    except Enough:
        return waits[0]
    return 0.0


@pytest.mark.usefixtures("location")
@pytest.mark.parametrize("ahead_s", [HOURS_3, -HOURS_3], ids=["put back", "put forward"])
def test_a_corrected_clock_changes_no_wait(set_clock: Any, ahead_s: int) -> None:
    set_clock(ahead_s)
    assert [wait_now(), wait_now()] == [0, 0]
    set_clock(0)

    assert 0 < wait_now() <= 2.5


@pytest.mark.usefixtures("location")
@pytest.mark.parametrize("ahead_s", [HOURS_3, -HOURS_3], ids=["put back", "put forward"])
def test_a_cool_down_has_its_full_length_when_the_clock_jumps(set_clock: Any, ahead_s: int) -> None:
    set_clock(ahead_s)
    assert throttle.cool_down(RateLimited("no")) == 60
    set_clock(0)

    assert 55 < throttle.cool_down_left() <= 60
    throttle.end_cool_down(by="a test")
    assert throttle.cool_down_left() == 0


def test_hosts_with_different_clocks_share_one_limit(location: str, set_clock: Any) -> None:
    logs = [_log(location), _log(location)]
    started, n_begun = time.monotonic(), 0

    while time.monotonic() - started < 0.8:
        for ahead_s, log in zip((0, 90), logs, strict=True):
            set_clock(ahead_s)
            is_begun = log.take("fetches").wait_ms == 0
            # On a busy machine the window of the first call may have ended.
            if time.monotonic() - started < WINDOWS[0].ms / 1000:
                n_begun += is_begun

    assert n_begun == 2


def test_after_a_restart_of_the_machine_no_wait_is_longer_than_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _log(str(tmp_path / "calls.sqlite3"))
    monkeypatch.setattr(time, "monotonic_ns", lambda: HOURS_3 * 10**9)
    for _ in range(2):
        assert log.take("fetches").wait_ms == 0
    log.keep("cool-down", "no", 60)

    monkeypatch.setattr(time, "monotonic_ns", lambda: 10**9)

    assert log.look("fetches").wait_ms <= 1000
    note = log.note("cool-down")
    assert note is not None
    assert note.left_s == 60


def test_when_redis_sets_its_clock_back_no_wait_is_longer_than_the_window(redis_url: str) -> None:
    log = _log(redis_url)
    ahead_ms = int((time.time() + HOURS_3) * 1000)
    client = Redis.from_url(redis_url)
    client.zadd("tradingview-throttle-fetches", dict.fromkeys("abc", ahead_ms))

    assert log.look("fetches").wait_ms <= 60_000


@pytest.mark.parametrize("kind", ["file", "redis"])
def test_the_log_allows_the_calls_that_fit_into_each_window(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = request.getfixturevalue("redis_url") if kind == "redis" else str(tmp_path / "calls")
    log = _log(place)

    assert log.look("fetches") == (0, 2)
    assert [log.take("fetches").wait_ms for _ in range(2)] == [0, 0]
    found = log.take("fetches")
    assert 900 < found.wait_ms <= 1000
    assert found.n_left == 0
    assert log.take("searches").wait_ms == 0

    wait_until(lambda: log.look("fetches").wait_ms == 0, seconds=3, what="the next turn")
    assert log.take("fetches").wait_ms == 0
    # The window of a minute is full.
    assert 57_000 < log.take("fetches").wait_ms <= 60_000


def _log(place: str) -> CallLog:
    return RedisLog(place, WINDOWS) if "://" in place else FileLog(Path(place), WINDOWS)


def test_a_restart_of_redis_delays_a_call_and_its_absence_is_a_named_error(
    need: servers.Need, settings: Any
) -> None:
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST = 600, 10
    port = free_port()
    with servers.redis(need, port=port) as url:
        settings.ENV = settings.ENV | {"CACHE_URL": url}
        assert throttle.wait_for_call() < 1

    with pytest.raises(CacheUnavailable, match="CACHE_URL") as caught:
        throttle.wait_for_call()
    assert caught.value.retryable

    with servers.redis(need, port=port):
        assert throttle.wait_for_call() < 1
        assert throttle.calls_left() == 9


@pytest.mark.django_db
def test_a_restart_of_redis_with_persistence_does_not_end_a_cool_down(
    need: servers.Need, settings: Any, tmp_path: Path
) -> None:
    port = free_port()
    with servers.redis(need, port=port, kept_in=tmp_path) as url:
        settings.ENV = settings.ENV | {"CACHE_URL": url}
        throttle.cool_down(RateLimited("TradingView refused the connection (HTTP 429)."))

    with servers.redis(need, port=port, kept_in=tmp_path):
        # Redis refuses requests while it loads its data.
        found = wait_until(_running_cool_down, what="the end of Redis' start")
        assert found is not None
        assert found.text == "TradingView refused the connection (HTTP 429)."
        assert 30 < found.left_s <= 60


def _running_cool_down() -> Note | None:
    with suppress(CacheUnavailable):
        return throttle.running_cool_down()
    return None


@pytest.fixture
def redis_that_is_away(settings: Any) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings.ENV = settings.ENV | {"CACHE_URL": url}
    settings.CACHES = settings.CACHES | {
        "default": settings.CACHES["default"]
        | {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "OPTIONS": {},
        }
    }


@pytest.mark.usefixtures("redis_that_is_away")
@pytest.mark.django_db
def test_without_redis_the_status_names_redis_and_shows_the_rest(client: Client) -> None:
    response = client.get("/api/tv/status")

    assert response.status_code == 200
    status = response.json()
    assert (status["cool_down_s"], status["queued"]) == (None, 0)
    assert [problem for problem in status["problems"] if "CACHE_URL" in problem]


@pytest.mark.usefixtures("redis_that_is_away")
@pytest.mark.django_db
def test_without_redis_a_search_is_a_retryable_error_with_its_reason(
    client: Client,
) -> None:
    response = client.get("/api/tv/symbols?query=btc")

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    problem = response.json()
    assert (problem["code"], problem["retryable"]) == ("cache_unavailable", True)


@pytest.mark.usefixtures("redis_that_is_away")
@pytest.mark.django_db(transaction=True)
def test_without_redis_a_fetch_waits_and_no_attempt_counts_as_its_failure() -> None:
    fetch, _ = fetch_queue.open_fetch(a_key(), via="api")

    for _ in range(tasks.MAX_ATTEMPTS + 2):
        assert tasks.attempt(fetch.pk)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.error_code) == ("queued", "cache_unavailable")
    assert (fetch.attempts, fetch.failures) == (0, 0)
    assert fetch.next_attempt_at is not None
