"""May we call TradingView now? One answer for all workers on all machines.

A bucket for the pace, and a cool-down that anyone who is refused opens for everybody.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache as remember
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.cache import cache
from pyrate_limiter import AbstractBucket, Rate, RateItem, RedisBucket, SQLiteBucket

from datasets.errors import RateLimited

_COOL_DOWN = "throttle:cool-down"
_REFUSALS = "throttle:refusals"
FIRST_COOL_DOWN_S = 60
LONGEST_COOL_DOWN_S = 1800
_NAP_S = 0.25
_ON_ITS_WAY_MS = 500


def wait_for_token(
    on_wait: Callable[[float], None] = lambda seconds: None,
    *,
    purpose: str = "fetches",
    at_most_s: float = float("inf"),
) -> float:
    """Wait until one call to TradingView is allowed, and count it; return the seconds waited.

    At most `TV_RATE_PER_MINUTE` calls of one purpose begin in any minute, over all processes,
    and at most `TV_BURST` of them close together. `on_wait` is called a few times a second
    with the seconds that it will still take, as far as can be told, and may raise to give up. Raises `RateLimited` while a cool-down lasts, and when it is
    not allowed after `at_most_s` seconds.
    """
    started = time.monotonic()
    require_no_cool_down()
    bucket = _bucket(purpose)
    while bucket is not None:
        item = RateItem(uuid4().hex, _now_ms(), weight=1)
        if _put(bucket, item):
            break
        wait_s = bucket.waiting(item) / 1000  # type: ignore[operator]
        on_wait(wait_s)
        if time.monotonic() - started > at_most_s:
            raise RateLimited(
                f"Too many {purpose} at once (TV_RATE_PER_MINUTE); try again in a few seconds."
            )
        time.sleep(min(max(wait_s, 0.005), _NAP_S))
        require_no_cool_down()
    return time.monotonic() - started


def cool_down(error: RateLimited) -> float:
    """Pause all workers after a refusal; return for how many seconds.

    Each refusal within the hour doubles the pause, from 1 minute up to 30. Calls that were on
    their way when a pause began are refused for the same reason: they do not lengthen it.
    """
    left = cool_down_left()
    if left:
        return left
    # Not `incr`: with files as the cache that forgets for how long the count is to be kept.
    n_refusals = cache.get(_REFUSALS, 0) + 1
    cache.set(_REFUSALS, n_refusals, timeout=3600)
    seconds = min(FIRST_COOL_DOWN_S * 2 ** (n_refusals - 1), LONGEST_COOL_DOWN_S)
    cache.set(_COOL_DOWN, (time.time() + seconds, str(error)), timeout=seconds)
    return float(seconds)


def cool_down_left() -> float:
    """Return the seconds until calls are allowed again, 0 when they are."""
    until, _ = cache.get(_COOL_DOWN, (0.0, ""))
    return max(0.0, float(until) - time.time())


def tokens_left() -> int | None:
    """Return how many calls may begin at once now; None without a limit."""
    bucket = _bucket("fetches")
    if bucket is None:
        return None
    rates = _rates()
    now = _now_ms()
    left = []
    for rate in rates:
        used = 0
        while used < rate.limit:
            item = bucket.peek(used)
            if item is None or item.timestamp <= now - rate.interval:  # type: ignore[union-attr]
                break
            used += 1
        left.append(rate.limit - used)
    return min(left)


def require_no_cool_down() -> None:
    """Raise `RateLimited` while a cool-down lasts; it says for how long."""
    until, reason = cache.get(_COOL_DOWN, (0.0, ""))
    left = until - time.time()
    if left > 0:
        error = RateLimited(f"{reason} {left:.0f} s are left.")
        error.retry_after_s = left
        raise error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _rates() -> list[Rate]:
    """Return the windows: so many calls in the time that they take at an even pace, and a minute's."""
    per_minute, burst = (
        settings.TV_RATE_PER_MINUTE,
        min(settings.TV_BURST, settings.TV_RATE_PER_MINUTE),
    )
    even_ms = burst * 60_000 / per_minute
    # A call reaches TradingView up to so long after its token: what counts is when it does.
    stretch = (even_ms + _ON_ITS_WAY_MS) / even_ms
    windows = [Rate(burst, math.floor(even_ms * stretch))]
    if burst < per_minute:
        windows.append(Rate(per_minute, math.ceil(60_000 * stretch)))
    return windows


def _bucket(purpose: str) -> AbstractBucket | None:
    if not settings.TV_RATE_PER_MINUTE:
        return None
    location = settings.ENV["CACHE_URL"] or str(settings.STATE_DIR / "throttle.sqlite3")
    # A connection opened before a fork must not be used after it.
    return _open_bucket(
        location, purpose, settings.TV_RATE_PER_MINUTE, settings.TV_BURST, os.getpid()
    )


@remember
def _open_bucket(
    location: str, purpose: str, per_minute: int, burst: int, process: int
) -> AbstractBucket:
    if "://" in location:
        from redis import Redis

        bucket: AbstractBucket = RedisBucket.init(
            _rates(), Redis.from_url(location), f"tradingview-throttle-{purpose}"
        )
        return bucket
    # The lock file makes "count, then insert" one step for all processes.
    return SQLiteBucket.init_from_file(
        _rates(), table=purpose, db_path=str(Path(location)), use_file_lock=True
    )


def _put(bucket: AbstractBucket, item: RateItem) -> bool:
    lock: Any = bucket.limiter_lock() or nullcontext()
    with lock:
        bucket.leak(item.timestamp)
        return bool(bucket.put(item))
