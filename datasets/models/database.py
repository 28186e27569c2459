"""The catalog's database server: its clock, its connections and its lock timeouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

# Rows deleted by one statement; each statement blocks other writers of SQLite.
_AT_A_TIME = 500


def now() -> datetime:
    """Return the present instant (aware, UTC) by the clock that all hosts share.

    With PostgreSQL that is the server's clock; SQLite runs on one host, and its clock is used.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        instant: datetime = cursor.fetchone()[0]
        return instant


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
