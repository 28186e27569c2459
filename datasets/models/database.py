"""The catalog's database as a server: its clock, and its connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone


def now() -> datetime:
    """Return the instant by the clock that all hosts share: PostgreSQL's, or the one host's of SQLite."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        instant: datetime = cursor.fetchone()[0]
        return instant


def give_connection_back() -> None:
    """Leave this thread's connection to others, before it waits for something else.

    The next query takes one again. PostgreSQL has a limited number for all; to SQLite each
    thread keeps its own. Within a transaction it is kept.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


@contextmanager
def without_waiting() -> Iterator[None]:
    """Have a write in the block fail at once, by Django's `Error`, where another holds the lock.

    For what a reader's request writes beside: no reader waits for a writer.
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


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
