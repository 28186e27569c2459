"""Whether a thread may wait. One that answers for all must not, and hands over what would hold it up.

`tvproject/server.py` says which thread is which. Everywhere else every thread may wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_here = threading.local()
_say_so: list[Callable[[], None]] = []


class HandedOver(BaseException):
    """A request needs a thread that may wait.

    Not an `Exception`, because nothing on its way out may take it for a failure and answer.
    """


@contextmanager
def never_waiting() -> Iterator[None]:
    """Make the calling thread one that must not wait."""
    _here.never_waits = True
    try:
        yield
    finally:
        _here.never_waits = False


def require_thread_that_may_wait() -> None:
    """Raise `HandedOver` in a thread that must not wait."""
    if getattr(_here, "never_waits", False):
        raise HandedOver


def when_about_to_wait(call: Callable[[], None]) -> None:
    """Have `call` called in each thread that is about to wait, so that another may run."""
    _say_so.append(call)


def about_to_wait() -> None:
    """Say that this thread is about to wait for longer than a query takes."""
    for call in _say_so:
        call()
