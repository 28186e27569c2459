"""Clients, and the number of their requests in a minute over all processes of the service.

The throttle of our own calls to TradingView is another one: `fetching/throttle.py`.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from threading import Lock

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from filelock import FileLock, Timeout
from redis.exceptions import RedisError

from datasets.errors import TooManyRequests
from datasets.models import database

logger = logging.getLogger(__name__)

_MINUTE_S = 60
# A count is of use in its own minute only. Twice as long, so that it surely lasts until then.
_KEEP_S = 2 * _MINUTE_S
_teller = ThreadPoolExecutor(1, thread_name_prefix="counts")


def address_of(request: HttpRequest) -> str:
    """Return the client's address; an IPv6 client is its network of 64 bits.

    Of `X-Forwarded-For` only the last `TRUSTED_PROXIES` entries count: our proxies wrote them.
    The entries before them come from the client and can be forged.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.TRUSTED_PROXIES and forwarded:
        hops = forwarded.split(",")
        address = hops[-min(settings.TRUSTED_PROXIES, len(hops))].strip()[:64]
    return _network(address) if ":" in address else address


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    # One customer has 2**64 IPv6 addresses: a limit for each address would limit nothing.
    try:
        whole = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped)
    return str(IPv6Address(int(whole) >> 64 << 64))


def token_client(number: int) -> str:
    """Return the client under which the requests of an API token are counted."""
    return f"token-{number}"


class Tally:
    """Counts one kind of request for each client in this minute of the clock that all hosts share.

    Each process counts in memory and adds its count to the shared cache `_TELLS_A_MINUTE` times
    per limit, because a shared count costs a file or a call to Redis. So each further process
    may exceed a limit of 6,000 by a few hundred; a limit below 120 is exact. Counts of a larger
    limit are added by a thread of their own: a cached read must not wait for Redis or a disk.
    """

    _TELLS_A_MINUTE = 60

    def __init__(self, what: str, setting: str) -> None:
        self._what = what
        self._setting = setting
        self._lock = Lock()
        self.forget()

    def count(self, client: str) -> None:
        """Count one request; raise `TooManyRequests` when the client is over its limit."""
        if not self.limit or self._add(client) <= self.limit:
            return
        left_s = _MINUTE_S - database.shared_now().timestamp() % _MINUTE_S
        raise TooManyRequests(
            f"One client may {self._what} {self.limit} times a minute ({self._setting}); try again in {left_s:.0f} s.",
            retry_after_s=max(left_s, 1),
        )

    def take_back(self, client: str) -> None:
        """Remove one request from this minute's count: it did not happen after all."""
        if not self.limit:
            return
        with self._lock:
            minute = self._turn_to_this_minute()
            told, untold = self._counts.get(client, (0, 0))
            if not told + untold:
                # The request was counted in an earlier minute.
                return
            self._counts[client] = (told, untold - 1) if untold else (told - 1, 0)
        if not untold:
            _add_for_all(f"{self._setting}:{minute}:{client}", -1)

    def forget(self) -> None:
        """Reset the counts of this process."""
        self._minute = 0
        self._is_telling = False
        # For each client: the shared count, and the requests that it does not contain yet.
        self._counts: dict[str, tuple[int, int]] = {}

    @property
    def limit(self) -> int:
        """Most requests in a minute; 0: no limit."""
        return int(getattr(settings, self._setting))

    @property
    def _untold_at_most(self) -> int:
        return max(1, self.limit // self._TELLS_A_MINUTE)

    def _add(self, client: str) -> int:
        with self._lock:
            minute = self._turn_to_this_minute()
            told, untold = self._counts.get(client, (0, 0))
            if told + untold >= self.limit:
                # No call to the shared cache for a client that is over its limit already.
                return self.limit + 1
            untold += 1
            total, is_exact = told + untold, self._untold_at_most == 1
            # One at a time: while the shared cache hangs, counts add up here and not in a queue.
            is_time = untold >= self._untold_at_most and (is_exact or not self._is_telling)
            self._counts[client] = (total, 0) if is_time else (told, untold)
            self._is_telling |= is_time and not is_exact
        if is_time and is_exact:
            return self._tell(minute, client, untold) or total
        if is_time:
            _teller.submit(self._tell, minute, client, untold)
        return total

    def _tell(self, minute: int, client: str, number: int) -> int | None:
        """Add to the shared count; return the count of all processes, None where it is unknown."""
        told = _add_for_all(f"{self._setting}:{minute}:{client}", number)
        with self._lock:
            self._is_telling = False
            if told is not None and self._minute == minute:
                known, untold = self._counts.get(client, (0, 0))
                self._counts[client] = (max(told, known), untold)
        return told

    def _turn_to_this_minute(self) -> int:
        minute = int(database.shared_now().timestamp()) // _MINUTE_S
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        return minute


reads = Tally("ask", "API_READS_PER_MINUTE")
fetches = Tally("begin fetches", "API_FETCHES_PER_MINUTE")
failed_sign_ins = Tally("fail to sign in", "API_SIGN_INS_PER_MINUTE")


def _add_for_all(key: str, number: int) -> int | None:
    """Add to the shared count and return it; None when the shared cache is unavailable."""
    counts = caches["counts"]
    is_redis = bool(settings.ENV["CACHE_URL"])
    # Redis adds atomically. The cache in files reads, then writes, so it needs a lock.
    lock = nullcontext() if is_redis else FileLock(settings.STATE_DIR / "counts.lock", timeout=2)
    try:
        with lock:
            counts.add(key, 0, timeout=_KEEP_S)
            return int(counts.incr(key, number))
    except (RedisError, OSError, Timeout, ValueError) as error:
        # A limit for each process is better than no service.
        logger.warning("requests are counted in this process only: %s", error)
        return None
