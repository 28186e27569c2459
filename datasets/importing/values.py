"""Instants and numbers of a file of bars, each read in one way or refused."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from datasets.bars import NO_VALUE

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}(?:\.0+)?", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})[./](\d{2})[./](\d{2})", re.ASCII)
_ABSENT = ("", "nan", "null", "none", "na", "n/a", "-")
# Seconds of the years before 5138 are below it, milliseconds after 1973 above it.
_LEAST_MS, _END_MS = 10**11, 10**14
_FIRST_SECOND = -62135596800
# A number of eight digits can be a day such as 20240131.
_FIRST_DAY, _LAST_DAY = 19_000_101, 21_001_231

TIMES = (
    "write ISO 8601 such as 2024-01-31T14:30:00Z, or UNIX seconds, or UNIX milliseconds after 1973"
)


class NaiveTime(ValueError):
    """The time has no UTC offset, and no time zone was given for the file."""


class ReadInstant(NamedTuple):
    """An instant: UNIX seconds, and the unit of a number: `seconds`, `milliseconds` or empty."""

    seconds: int
    unit: str = ""


def read_instant(value: object, zone: ZoneInfo | None) -> ReadInstant:
    """Return the instant of a text, a number or a date.

    Parameters
    ----------
    value
        ISO 8601 text, UNIX seconds or milliseconds as a number or a text, a datetime or a date.
    zone
        The zone of times without an offset.

    Raises
    ------
    NaiveTime
        The time has no offset, and `zone` is None.
    ValueError
        Any other value; the message says what is allowed.
    """
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value.partition(".")[0])
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _of_number(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(_YEAR_FIRST.sub(r"\1-\2-\3", value, count=1))
        except ValueError as error:
            raise ValueError(TIMES) from error
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise ValueError(TIMES)
    if value.microsecond or getattr(value, "nanosecond", 0):
        raise ValueError("bars open at whole seconds")
    return ReadInstant(_in_utc(value, zone))


def _of_number(number: int) -> ReadInstant:
    is_day = _FIRST_DAY <= number <= _LAST_DAY and 1 <= number // 100 % 100 <= 12
    if is_day and 1 <= number % 100 <= 31:
        raise ValueError("it can be a day or seconds since 1970; write a day as 2024-01-31")
    if _FIRST_SECOND <= number < _LEAST_MS:
        return ReadInstant(number, "seconds")
    if _LEAST_MS <= number < _END_MS:
        if number % 1000:
            raise ValueError("bars open at whole seconds")
        return ReadInstant(number // 1000, "milliseconds")
    raise ValueError(TIMES)


def _in_utc(moment: datetime, zone: ZoneInfo | None) -> int:
    if moment.tzinfo is not None:
        return round(moment.timestamp())
    if zone is None:
        raise NaiveTime
    earlier, later = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    # Datetimes of one zone are compared by their wall clock, so only UTC shows the difference.
    if earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != moment:
        raise ValueError(f"clocks in {zone.key} never show this time: they are set forward over it")
    if earlier.utcoffset() != later.utcoffset():
        raise ValueError(
            f"clocks in {zone.key} show this time twice, because they are set back; write the offset"
        )
    return round(earlier.timestamp())


def read_price(value: object) -> float:
    """Return a price; raise `ValueError` for anything but a finite number."""
    number = _read_number(value)
    if number is None:
        raise ValueError("a bar has all four prices")
    return number


def read_volume(value: object) -> float | None:
    """Return a volume, None where the file gives none; raise `ValueError` for other values."""
    number = _read_number(value)
    if number is not None and number < 0:
        raise ValueError("a volume is 0 or more")
    return number


def _read_number(value: object) -> float | None:
    """Return a number, None where it is absent."""
    if isinstance(value, str):
        if value.lower() in _ABSENT:
            return None
        if not _NUMBER.fullmatch(value):
            raise ValueError("write a number such as 1234.5, with a point and without other signs")
        value = float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("write a number such as 1234.5")
    number = float(value)
    if not abs(number) < NO_VALUE:
        raise ValueError("the number is too large")
    return number
