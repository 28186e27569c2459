"""Limits on password checks: failed sign-ins of each address, and checks at one time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from datasets.errors import Busy
from datasets.serving import clients

# One hash keeps a processor busy for most of a second. Two at a time would each take twice as
# long, and would slow down the readers of bars.
_N_AT_A_TIME = 1
# Bounds on waiting for a check, of each process: number of passwords, and seconds.
_MOST_WAITING = 4
_PATIENCE_S = 3.0

_hashing = threading.BoundedSemaphore(_N_AT_A_TIME)
_places = threading.BoundedSemaphore(_N_AT_A_TIME + _MOST_WAITING)


@contextmanager
def attempt(address: str) -> Iterator[None]:
    """Count one failed sign-in of the address; uncount it when the block raises nothing.

    The count comes before the check, so that the limit also holds for parallel attempts.
    Raises `TooManyRequests` when the address is over its limit, and `Busy` when too many
    passwords are being checked.
    """
    clients.failed_sign_ins.count(address)
    # A refusal as busy is no failed sign-in: the password was not checked.
    if not _places.acquire(blocking=False):
        clients.failed_sign_ins.take_back(address)
        raise _busy()
    try:
        if not _hashing.acquire(timeout=_PATIENCE_S):
            clients.failed_sign_ins.take_back(address)
            raise _busy()
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _places.release()
    clients.failed_sign_ins.take_back(address)


def _busy() -> Busy:
    return Busy("Too many passwords are being checked now; try again in a few seconds.")
