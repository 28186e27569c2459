"""Locks of series whose archives are in a bucket: held by the database, for all hosts."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from datasets.errors import StoreUnavailable

# A writer waits this long for another one. A writer that does nothing for the second time, such as a
# stopped process, loses the lock: PostgreSQL ends its session.
_LONGEST_WAIT_S, _LONGEST_PAUSE_S = 20, 60


@contextmanager
def locked_series(name: str) -> Iterator[Callable[[], None]]:
    """Hold the lock of a series by its name, such as `sample/NASDAQ_AAPL_1h`.

    Yields a function that raises `StoreUnavailable` once the lock is lost. The lock ends with its
    process. Raises `StoreUnavailable` while another writer does not end.
    """
    if connection.vendor != "postgresql":
        with _locked_file(name):
            yield lambda: None
        return
    number = int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
    # A connection of its own: the transaction that holds the lock lasts longer than those of the
    # rows, and a lock of a session would not survive PgBouncer's pools of transactions.
    own = connection.copy()
    # Not out of the process' pool: threads that all wait for a second connection would never end.
    own.settings_dict["OPTIONS"].pop("pool", None)
    try:
        with _database_failures(name):
            own.set_autocommit(False)
            _execute(own, f"SET LOCAL lock_timeout = '{_LONGEST_WAIT_S}s'")
            _execute(own, f"SET LOCAL idle_in_transaction_session_timeout = '{_LONGEST_PAUSE_S}s'")
            _execute(own, "SELECT pg_advisory_xact_lock(%s)", number)

        def check() -> None:
            with _database_failures(name):
                _execute(own, "SELECT 1")

        yield check
    finally:
        own.close()


def _execute(own: BaseDatabaseWrapper, statement: str, *values: int) -> None:
    with own.cursor() as cursor:
        cursor.execute(statement, values or None)


@contextmanager
def _database_failures(name: str) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise StoreUnavailable(
            f"The archive {name} is locked by another writer, or its lock was lost: the database or this process paused. "
            "Nothing was lost. Try again in a minute."
        ) from error


@contextmanager
def _locked_file(name: str) -> Iterator[None]:
    """Hold a lock on this machine: SQLite has no users on other hosts."""
    folder = settings.STATE_DIR / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / sha256(name.encode()).hexdigest()[:32]).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
