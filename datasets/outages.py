"""Outages: errors of our own database, cache and disks, translated to errors for the user."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError
from redis.exceptions import RedisError

from datasets.errors import CacheUnavailable, DatabaseUnavailable, StateUnavailable, Unavailable

_MAKE_ROOM = "Nothing was changed. Make room on the disk or correct the folder's permissions, then try again."  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def outage_of(error: BaseException | None) -> Unavailable | None:
    """Return the `Unavailable` error for an error of our database, cache or state folder; else None."""
    if isinstance(error, OperationalError | InterfaceError):
        return DatabaseUnavailable(_about_database(str(error)))
    if isinstance(error, RedisError):
        return CacheUnavailable(
            "Redis does not answer (CACHE_URL). Nothing was changed. Try again when Redis works again."
        )
    if isinstance(error, sqlite3.Error):
        return StateUnavailable(f"A file in STATE_DIR cannot be used: {error}. {_MAKE_ROOM}")
    if isinstance(error, OSError) and error.errno in _FULL:
        return StateUnavailable(
            f"A file in STATE_DIR cannot be written: {os.strerror(error.errno)}. {_MAKE_ROOM}"
        )
    return None


def _about_database(reason: str) -> str:
    # Only messages of SQLite are shown: those of PostgreSQL contain host names.
    if "locked" in reason:
        return "The database is locked by another process that writes. Nothing was changed. Try again in a moment."
    if "disk" in reason or "readonly" in reason or "unable to open" in reason:
        return f"The database cannot be written: {reason}. {_MAKE_ROOM}"
    if "no such table" in reason or "no such column" in reason:
        return "The database has no tables of this version. Run `python -m tvproject.prepare`, then try again."
    return "The database does not answer (DATABASE_URL). Nothing was changed. Try again when it works again."  # fmt: skip


def in_one_line(record: logging.LogRecord) -> bool:
    """Logging filter: shorten a record about an outage to one line, without its traceback."""
    error = record.exc_info[1] if record.exc_info else None
    outage = outage_of(error)
    if outage is not None:
        reason = " ".join(str(error).split())
        record.msg, record.args = f"{record.getMessage()}: {outage.code}: {reason}", ()
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


@contextmanager
def named_outages() -> Iterator[None]:
    """Raise `Unavailable` in place of an error of our database, cache or state folder."""
    try:
        yield
    except (OperationalError, InterfaceError, RedisError, sqlite3.Error, OSError) as error:
        outage = outage_of(error)
        if outage is None:
            raise
        raise outage from error
