"""Lock of one symbol search, over all threads and processes: only its holder calls TradingView."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.core.cache import cache
from filelock import FileLock, Timeout

from datasets.errors import RateLimited

# The longest time for one call. A longer lock belongs to a dead process.
_LONGEST_CALL_S = 30.0
_NAP_S = 0.05
_RETRY_AFTER_S = 5.0
_N_FILES = 64


@contextmanager
def search_lock(key: str) -> Iterator[None]:
    """Hold the lock of the search with the cache key `key`, after waiting for its present holder.

    The lock is a file for the processes of one machine, and a key on Redis for several machines.
    Raises `RateLimited` when the present holder takes too long.
    """
    if not settings.ENV["CACHE_URL"]:
        folder = settings.STATE_DIR / "searches"
        folder.mkdir(parents=True, exist_ok=True)
        # All searches share a few files: a file for each search would never be deleted.
        lock = FileLock(folder / f"{int(key[-8:], 16) % _N_FILES}.lock", timeout=_LONGEST_CALL_S)
        try:
            with lock:
                yield
        except Timeout:
            raise _still_running() from None
        return
    deadline = time.monotonic() + _LONGEST_CALL_S
    lock_key = f"{key}:asked"
    while not cache.add(lock_key, True, timeout=_LONGEST_CALL_S):
        if time.monotonic() > deadline:
            raise _still_running()
        time.sleep(_NAP_S)
    try:
        yield
    finally:
        cache.delete(lock_key)


def _still_running() -> RateLimited:
    error = RateLimited(
        f"The same symbol search is still running after {_LONGEST_CALL_S:.0f} s. "
        f"Try again in {_RETRY_AFTER_S:.0f} s."
    )
    error.retry_after_s = _RETRY_AFTER_S
    return error
