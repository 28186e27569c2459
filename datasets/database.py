"""The catalog's database as a server: its clock, and its connections."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
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
