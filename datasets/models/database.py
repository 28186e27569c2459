"""The catalog's database server: its clock, its connections and its lock timeouts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import Error, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

# Rows deleted by one statement; each statement blocks other writers of SQLite.
_AT_A_TIME = 500
# Web processes and workers read the clock more often, in a thread of their own.
_READ_AGAIN_AFTER_S = 300.0
_TRIED_AGAIN_AFTER_S = 30.0


class _Reading(NamedTuple):
    """The clock of PostgreSQL at one instant of this machine's steady clock (seconds)."""

    instant: datetime
    at_s: float


_reading: _Reading | None = None
_try_again_at_s = float("-inf")


def now() -> datetime:
    """Return the present instant (aware, UTC) by the clock that all hosts share.

    With PostgreSQL that is the server's clock, which costs a query; SQLite runs on one host, and
    its clock is used.
    """
    global _reading
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        before_s = _steady_s()
        cursor.execute("SELECT clock_timestamp()")
        instant: datetime = cursor.fetchone()[0]
    _reading = _Reading(instant, (before_s + _steady_s()) / 2)
    return instant


def shared_now() -> datetime:
    """Return `now()` without a query: its last reading, moved on by this machine's steady clock.

    The error is half the time of one query, so a lease or a lock needs `now()`. A wrong or
    corrected clock of this host changes nothing. The host's clock is used only where PostgreSQL
    has not answered since the start of the process.
    """
    global _try_again_at_s
    if connection.vendor != "postgresql":
        return timezone.now()
    at_s = _steady_s()
    is_old = _reading is None or at_s > _reading.at_s + _READ_AGAIN_AFTER_S
    if is_old and at_s >= _try_again_at_s:
        # Other threads go on with the old reading meanwhile.
        _try_again_at_s = at_s + _TRIED_AGAIN_AFTER_S
        with suppress(Error):
            return now()
    if _reading is None:
        return timezone.now()
    return _reading.instant + timedelta(seconds=_steady_s() - _reading.at_s)


def _steady_s() -> float:
    """Return the seconds since the machine's start; no setting of a clock changes them."""
    # Unlike `time.monotonic`, this clock also counts the time in which the machine is suspended.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def give_connection_back() -> None:
    """Release this thread's PostgreSQL connection before the thread waits for something else.

    PostgreSQL allows a limited number of connections. The thread's next query opens one again.
    Does nothing within a transaction, and nothing with SQLite.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


@contextmanager
def without_waiting() -> Iterator[None]:
    """Make a write in this block fail at once, with Django's `Error`, if another transaction holds the lock.

    Used for the writes of a read request, such as counters: a reader never waits for a writer.
    """
    if connection.vendor == "sqlite":
        seconds = connection.settings_dict["OPTIONS"].get("timeout", 5)
        _execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            _execute(f"PRAGMA busy_timeout = {round(float(seconds) * 1000)}")
    else:
        with transaction.atomic():
            _execute("SET LOCAL lock_timeout = '50ms'")
            yield


def delete_in_steps(rows: QuerySet[Any], *, dry_run: bool = False) -> int:
    """Delete the rows, some hundred at a time, and return their number; with `dry_run` only count them."""
    if dry_run:
        return rows.count()
    n_deleted = 0
    while some := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_A_TIME]):
        rows.model._default_manager.filter(pk__in=some).delete()
        n_deleted += len(some)
    return n_deleted


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
