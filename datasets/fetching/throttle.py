"""Throttle of the calls to TradingView, shared by all workers on all machines.

Sliding windows limit the pace of calls. A refusal by TradingView starts a cool-down, during
which no worker calls.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import cache as remember
from pathlib import Path

from django.conf import settings

from datasets.errors import RateLimited
from datasets.fetching.call_log import CallLog, FileLog, Note, RedisLog, Window
from datasets.outages import named_outages

logger = logging.getLogger(__name__)

_COOL_DOWN = "cool-down"
_REFUSALS = "refusals"
_REFUSALS_COUNT_S = 3600
FIRST_COOL_DOWN_S = 60
LONGEST_COOL_DOWN_S = 1800
_NAP_S = 0.25
# A call may reach TradingView this long after the throttle has allowed it.
_ON_ITS_WAY_MS = 500


def wait_for_call(
    on_wait: Callable[[float], None] = lambda seconds: None,
    *,
    purpose: str = "fetches",
    at_most_s: float = float("inf"),
    gives_way: Callable[[], bool] | None = None,
) -> float:
    """Wait until one call to TradingView is allowed, and count it; return the seconds waited.

    Over all processes, at most `TV_RATE_PER_MINUTE` calls of one purpose begin in any minute,
    and at most `TV_BURST` of them close together. `on_wait` is called a few times a second
    with the expected seconds still to wait; it may raise to end the wait. With `gives_way`
    a call begins only if another one may begin at most `spacing_ms` later, and not while
    `gives_way` returns True; it may raise too. Raises `RateLimited`
    during a cool-down, and when no call is allowed within `at_most_s` seconds; raises
    `Unavailable` when the log of calls cannot be read.
    """
    started = time.monotonic()
    require_no_cool_down()
    within_ms = 0 if gives_way is None else spacing_ms()
    while settings.TV_RATE_PER_MINUTE:
        if gives_way is not None and gives_way():
            wait_s = _NAP_S
        else:
            with named_outages():
                wait_s = _log().take(purpose, next_within_ms=within_ms).wait_ms / 1000
        if not wait_s:
            break
        on_wait(wait_s)
        if time.monotonic() - started > at_most_s:
            error = RateLimited(
                f"Too many {purpose} at once (TV_RATE_PER_MINUTE); try again in {math.ceil(wait_s)} s."
            )
            error.retry_after_s = wait_s
            raise error
        time.sleep(min(max(wait_s, 0.005), _NAP_S))
        require_no_cool_down()
    return time.monotonic() - started


def spacing_ms() -> int:
    """Return the milliseconds between two calls at an even pace; 0 without a limit."""
    if not settings.TV_RATE_PER_MINUTE:
        return 0
    burst, even_ms = _even(settings.TV_RATE_PER_MINUTE, settings.TV_BURST)
    return math.ceil(even_ms / burst)


def cool_down(error: RateLimited) -> float:
    """Start a cool-down of all workers after a refusal; return its length in seconds.

    Each refusal within the hour doubles the cool-down, from 1 minute up to 30. A refusal during
    a cool-down answers a call that began before it, so that refusal does not lengthen it.
    """
    with named_outages():
        log, running = _log(), running_cool_down()
        if running is not None:
            return running.left_s
        refusals = log.note(_REFUSALS)
        n_refusals = 1 + (int(refusals.text) if refusals else 0)
        log.keep(_REFUSALS, str(n_refusals), _REFUSALS_COUNT_S)
        seconds = min(FIRST_COOL_DOWN_S * 2 ** (n_refusals - 1), LONGEST_COOL_DOWN_S)
        log.keep(_COOL_DOWN, str(error), seconds)
    return float(seconds)


def end_cool_down(*, by: str) -> None:
    """End the cool-down and reset its length; the log names `by`, the user who ended it."""
    with named_outages():
        _log().drop(_COOL_DOWN)
        _log().drop(_REFUSALS)
    logger.warning("the cool-down was ended by %s", by)


def running_cool_down() -> Note | None:
    """Return the reason and the seconds left of the present cool-down; None when calls are allowed."""
    with named_outages():
        return _log().note(_COOL_DOWN)


def cool_down_left() -> float:
    """Return the seconds left of the cool-down; 0 without one."""
    running = running_cool_down()
    return running.left_s if running else 0.0


def calls_left() -> int | None:
    """Return the number of calls that may begin now; None without a limit."""
    if not settings.TV_RATE_PER_MINUTE:
        return None
    with named_outages():
        return _log().look("fetches").n_left


def require_no_cool_down() -> None:
    """Raise `RateLimited`, with the seconds left, during a cool-down."""
    running = running_cool_down()
    if running is not None:
        error = RateLimited(f"{running.text} {running.left_s:.0f} s are left.")
        error.retry_after_s = running.left_s
        raise error


def _log() -> CallLog:
    location = settings.ENV["CACHE_URL"] or str(settings.STATE_DIR / "calls.sqlite3")
    return _log_at(location, settings.TV_RATE_PER_MINUTE, settings.TV_BURST)


@remember
def _log_at(location: str, per_minute: int, burst: int) -> CallLog:
    """Open the log with two windows: one for a burst at an even pace, one for a minute."""
    windows = []
    if per_minute:
        burst, even_ms = _even(per_minute, burst)
        windows.append(Window(burst, even_ms))
        if burst < per_minute:
            windows.append(Window(per_minute, math.ceil(even_ms * per_minute / burst)))
    return RedisLog(location, windows) if "://" in location else FileLog(Path(location), windows)


def _even(per_minute: int, burst: int) -> tuple[int, int]:
    """Return the calls of a burst, and the milliseconds in which they begin at an even pace."""
    burst = min(burst, per_minute)
    # TradingView counts arrivals, and two calls can arrive closer together than they began.
    return burst, math.floor(burst * 60_000 / per_minute) + _ON_ITS_WAY_MS
