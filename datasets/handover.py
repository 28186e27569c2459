"""Marks threads that must never block.

`tvproject/server.py` marks the thread that accepts connections: it answers short requests itself and
hands the others over to threads that may block. All other threads may block. This module
imports nothing of Django, because the server imports it before Django is set up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_here = threading.local()
_callbacks: list[Callable[[], None]] = []


class HandedOver(BaseException):
    """The request needs a thread that may block.

    A `BaseException`, because `except Exception` on the way out would turn a handover into an
    error reply.
    """


@contextmanager
def never_waiting() -> Iterator[None]:
    """Mark the calling thread as one that must never block, inside the block."""
    _here.never_waits = True
    try:
        yield
    finally:
        _here.never_waits = False


def require_thread_that_may_wait() -> None:
    """Raise `HandedOver` in a thread that must never block."""
    if getattr(_here, "never_waits", False):
        raise HandedOver


def when_about_to_wait(call: Callable[[], None]) -> None:
    """Register a callback that runs in each thread right before the thread blocks.

    The server registers one that starts another thread.
    """
    _callbacks.append(call)


def about_to_wait() -> None:
    """Run the callbacks: this thread is about to block for longer than a query takes."""
    for call in _callbacks:
        call()
