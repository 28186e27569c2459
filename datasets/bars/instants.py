"""Instants as people and clients write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Fewer digits may be a year or a date, and more are milliseconds.
_UNIX_SECONDS = re.compile(r"-?[0-9]{9,11}(\.[0-9]{1,9})?")
_DIGITS_ALONE = re.compile(r"[-+]?[0-9.]+")


def in_milliseconds(moment: datetime) -> datetime:
    """Return the instant cut to whole milliseconds, as files and the archive keep it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def parse_instant(text: str) -> datetime:
    """Return the instant that `text` spells, in UTC; a text without an offset is in UTC.

    Raises `ValueError` with what is allowed.
    """
    try:
        if _UNIX_SECONDS.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC)
        if _DIGITS_ALONE.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        # An offset can lead out of the years 1 to 9999.
        return aware.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is no instant; write ISO 8601, such as 2025-01-31 or 2025-01-31T14:30:00Z, "
            "or UNIX seconds with at least nine digits, such as 1738281600."
        ) from None
