"""Trading hours: the session strings of TradingView, and an exchange's trading days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

Integers = npt.NDArray[np.int64]

MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS

_LEG = re.compile(r"([01]\d|2[0-4])([0-5]\d)-([01]\d|2[0-4])([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of an exchange's trading day.

    `start` is the minute of the wall clock at which the trading day begins. `legs` are the
    periods of trade in order, each as its first minute and the minute after its last, counted
    from `start`. Without `has_weekend` no trading day has the date of a Saturday or a Sunday.
    """

    start: int
    legs: tuple[tuple[int, int], ...]
    has_weekend: bool = False

    @property
    def end(self) -> int:
        """The minute after the last period of trade, counted from `start`."""
        return self.legs[-1][1]

    @property
    def is_overnight(self) -> bool:
        """Whether the trading day begins on the evening before its date."""
        return self.start + self.end > 1440


@lru_cache(maxsize=1024)
def parse_hours(text: str) -> Hours | None:
    """Parse a session string: `0930-1600`, `0900-1130,1230-1530`, `1800-1700:23456`, `24x7`.

    Returns None for any other text, such as hours that differ between weekdays.
    """
    if text == "24x7":
        return Hours(0, ((0, 1440),), has_weekend=True)
    # The digits are weekdays, 1 is Sunday; without digits the days are Monday to Friday.
    plain, _, days = text.partition(":")
    if not re.fullmatch(r"[1-7]*", days):
        return None
    matches = [_LEG.fullmatch(part) for part in plain.split(",")]
    spans = [
        (int(m[1]) * 60 + int(m[2]), int(m[3]) * 60 + int(m[4])) for m in matches if m is not None
    ]
    if len(spans) != len(matches):
        return None
    start = spans[0][0]
    legs: list[tuple[int, int]] = []
    for opening, closing in spans:
        begin = (opening - start) % 1440
        legs.append((begin, begin + ((closing - opening) % 1440 or 1440)))
    is_ordered = all(first[1] <= second[0] for first, second in zip(legs, legs[1:], strict=False))
    if not is_ordered or legs[-1][1] > 1440:
        return None
    return Hours(start, tuple(legs), has_weekend="1" in days or "7" in days)


@lru_cache(maxsize=256)
def parse_zone(name: str) -> ZoneInfo | None:
    """Return the time zone of this name, None for an unknown name."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def to_wall(instants: Integers, zone: ZoneInfo) -> Integers:
    """Convert UNIX milliseconds to the exchange's wall clock, in milliseconds as if it were UTC."""
    if zone.key in ("Etc/UTC", "UTC"):
        return instants
    local = pd.DatetimeIndex(instants.view("M8[ms]")).tz_localize("UTC").tz_convert(zone)
    return local.tz_localize(None).as_unit("ms").asi8


def from_wall(wall: Integers, zone: ZoneInfo) -> Integers:
    """Convert wall-clock times to UNIX milliseconds; of two possible instants return the later."""
    if zone.key in ("Etc/UTC", "UTC"):
        return wall
    naive = pd.DatetimeIndex(wall.view("M8[ms]"))
    # At the end of summer time, False selects the second of two instants. At its beginning, the
    # result is the first instant after the gap. Neither is too early.
    is_summer = np.zeros(len(wall), dtype=bool)
    local = naive.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None).as_unit("ms").asi8


def position_in_day(
    times: Integers, hours: Hours, zone: ZoneInfo
) -> tuple[Integers, Integers, Integers]:
    """Return for each instant its position in its trading day.

    The three arrays are the milliseconds since the day's beginning, the day's number (the date
    on which the day begins, in days since 1970-01-01), and the instant at which the day ends.
    """
    shifted = to_wall(times, zone) - hours.start * MINUTE_MS
    number = shifted // DAY_MS
    since = shifted - number * DAY_MS
    unique, position = np.unique(number, return_inverse=True)
    ends = from_wall(unique * DAY_MS + (hours.start + hours.end) * MINUTE_MS, zone)
    return since, number, ends[position]


def trading_days(times: Integers, hours: Hours, zone: ZoneInfo) -> Integers:
    """Return the number of each bar's trading day: the date on which the day begins."""
    return position_in_day(times, hours, zone)[1]


def trading_dates(numbers: Integers, hours: Hours) -> Integers:
    """Return the official date of each trading day, in days since 1970-01-01.

    A day that begins in an evening has the next date. Friday evening belongs to Monday.
    """
    if not hours.is_overnight:
        return numbers
    dates = numbers + 1
    weekday = (dates + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    if hours.has_weekend:
        return dates
    return dates + np.where(weekday >= 5, 7 - weekday, 0)


def day_starts(numbers: Integers, hours: Hours, zone: ZoneInfo) -> Integers:
    """Return the instants at which trading days begin."""
    return from_wall(numbers * DAY_MS + hours.start * MINUTE_MS, zone)


def day_ends(numbers: Integers, hours: Hours, zone: ZoneInfo) -> Integers:
    """Return the instants at which trading days end."""
    return from_wall(numbers * DAY_MS + (hours.start + hours.end) * MINUTE_MS, zone)


def is_within(times: Integers, hours: Hours, zone: ZoneInfo) -> npt.NDArray[np.bool_]:
    """Return which instants lie between the beginning and the end of a trading day."""
    since, _, _ = position_in_day(times, hours, zone)
    return since < hours.end * MINUTE_MS
