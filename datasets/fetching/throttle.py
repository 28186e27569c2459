"""May we call TradingView now? One answer for all workers on all machines.

A bucket for the pace, and a cool-down that anyone who is refused opens for everybody.
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
    with the seconds that it will still take, as far as can be told, and may raise to give up.
    Raises `RateLimited` while a cool-down lasts, and when it is not allowed after `at_most_s`
    seconds; `Unavailable` when nobody can say whether it is.
    """
    started = time.monotonic()
    require_no_cool_down()
    while settings.TV_RATE_PER_MINUTE:
        with named_outages():
            wait_s = _log().take(purpose).wait_ms / 1000
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


def cool_down(error: RateLimited) -> float:
    """Pause all workers after a refusal; return for how many seconds.

    Each refusal within the hour doubles the pause, from 1 minute up to 30. Calls that were on
    their way when a pause began are refused for the same reason: they do not lengthen it.
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
    """Allow calls again now; the next refusal pauses as the first does. `by` stands in the log."""
    with named_outages():
        _log().drop(_COOL_DOWN)
        _log().drop(_REFUSALS)
    logger.warning("the cool-down was ended by %s", by)


def running_cool_down() -> Note | None:
    """Return the cool-down that lasts now, its reason and the seconds left; None when calls are allowed."""
    with named_outages():
        return _log().note(_COOL_DOWN)


def cool_down_left() -> float:
    """Return the seconds until calls are allowed again, 0 when they are."""
    running = running_cool_down()
    return running.left_s if running else 0.0


def tokens_left() -> int | None:
    """Return how many calls may begin at once now; None without a limit."""
    if not settings.TV_RATE_PER_MINUTE:
        return None
    with named_outages():
        return _log().look("fetches").n_left


def require_no_cool_down() -> None:
    """Raise `RateLimited` while a cool-down lasts; it says for how long."""
    running = running_cool_down()
    if running is not None:
        error = RateLimited(f"{running.text} {running.left_s:.0f} s are left.")
        error.retry_after_s = running.left_s
        raise error


def _windows(per_minute: int, burst: int) -> list[Window]:
    """Return the windows: so many calls in the time that they take at an even pace, and a minute's."""
    if not per_minute:
        return []
    burst = min(burst, per_minute)
    even_ms = burst * 60_000 / per_minute
    # A call reaches TradingView up to so long after its token: what counts is when it does.
    stretch = (even_ms + _ON_ITS_WAY_MS) / even_ms
    windows = [Window(burst, math.floor(even_ms * stretch))]
    if burst < per_minute:
        windows.append(Window(per_minute, math.ceil(60_000 * stretch)))
    return windows


def _log() -> CallLog:
    location = settings.ENV["CACHE_URL"] or str(settings.STATE_DIR / "calls.sqlite3")
    return _log_at(location, settings.TV_RATE_PER_MINUTE, settings.TV_BURST)


@remember
def _log_at(location: str, per_minute: int, burst: int) -> CallLog:
    windows = _windows(per_minute, burst)
    return RedisLog(location, windows) if "://" in location else FileLog(Path(location), windows)
