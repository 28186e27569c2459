"""When a bar closes: an instant that is never before its true close, and as early as can be proved.

Each rule gives an upper bound, and the earliest of those that hold is taken. Every bar has
closed when the next one of its instrument opens; what else holds depends on its length and
on the exchange's hours. The rules are set out in docs/research/no-look-ahead.md.

Whether a bar counts as closed at an instant depends on nothing that happens after it: a
bound is the bar's own, or the opening of another bar that has then been seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.bars import Timeframe

Integers = npt.NDArray[np.int64]

NEVER = int(np.iinfo(np.int64).max)
MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS

# No trading day is longer; an intraday bar ends with its trading day.
_LONGEST_INTRADAY_DAYS = 1
# By the calendar, from the first trading day of it.
_LONGEST_DAYS = {"1D": 1, "1W": 7, "1M": 31}
# A trading day that begins on an evening may begin on the one before a run of holidays: in
# Osaka that of 2019-05-07 began on 04-26, eleven days before it ended.
_LONGEST_LEAD_DAYS = 13

# Two neighbours are at most so far apart, where no weekend or holiday lies between them.
_LONGEST_GAP_MS = {"1D": 25 * 60 * MINUTE_MS, "1W": 11 * DAY_MS, "1M": 38 * DAY_MS}

_LEG = re.compile(r"([01]\d|2[0-4])([0-5]\d)-([01]\d|2[0-4])([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Clock:
    """What decides when a bar closes. `hours` as TradingView writes them, "" where unknown."""

    timeframe: str
    hours: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Hours:
    """An exchange's trading day.

    `start` is the minute of the wall clock at which it begins, `legs` the stretches of trade
    in minutes after that, in order. Without `has_weekend` no trading day has the date of a
    Saturday or a Sunday.
    """

    start: int
    legs: tuple[tuple[int, int], ...]
    has_weekend: bool = False

    @property
    def end(self) -> int:
        """The minute after the last one, counted from the beginning."""
        return self.legs[-1][1]

    @property
    def is_overnight(self) -> bool:
        """Whether the trading day begins on the evening before its date."""
        return self.start + self.end > 1440


@lru_cache(maxsize=1024)
def parse_hours(text: str) -> Hours | None:
    """Return what `0930-1600`, `0900-1130,1230-1530`, `1800-1700:23456` or `24x7` says.

    None for everything else: hours that differ from day to day, or none at all.
    """
    if text == "24x7":
        return Hours(0, ((0, 1440),), has_weekend=True)
    # The digits are days, 1 for Sunday; without them it is Monday to Friday.
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
    """Return the time zone of that name, None where there is none."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def to_wall(instants: Integers, zone: ZoneInfo) -> Integers:
    """Return what the exchange's wall clock shows, in milliseconds as if it were UTC."""
    if zone.key in ("Etc/UTC", "UTC"):
        return instants
    local = pd.DatetimeIndex(instants.view("M8[ms]")).tz_localize("UTC").tz_convert(zone)
    return local.tz_localize(None).as_unit("ms").asi8


def from_wall(wall: Integers, zone: ZoneInfo) -> Integers:
    """Return the instants at which the wall clock shows these times; the later of two."""
    if zone.key in ("Etc/UTC", "UTC"):
        return wall
    naive = pd.DatetimeIndex(wall.view("M8[ms]"))
    # Summer time ended: False is the second time that the clock shows it. Began: the first
    # instant after the gap. Neither is too early.
    is_summer = np.zeros(len(wall), dtype=bool)
    local = naive.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None).as_unit("ms").asi8


def close_instants(
    times: Integers, clock: Clock, *, next_ms: int = NEVER, closed_by_ms: int = NEVER
) -> Integers:
    """Return for each bar, by its opening in ms, the instant at which it has closed for sure.

    `times` is in order; of the last one may be known when the bar after it opens, `next_ms`,
    and an instant at which it had closed, `closed_by_ms`.
    """
    if not len(times):
        return times
    following = np.append(times[1:], np.int64(next_ms))
    if closed_by_ms > times[-1]:
        following[-1] = min(next_ms, closed_by_ms)
    return np.minimum(_own_bounds(times, clock), following)


def _own_bounds(times: Integers, clock: Clock) -> Integers:
    """Return the bounds that follow from the bar's own opening and the exchange's hours."""
    timeframe = Timeframe(clock.timeframe)
    hours, zone = parse_hours(clock.hours), parse_zone(clock.timezone)
    if timeframe.minutes is None:
        return _calendar_bounds(times, timeframe, hours, zone)
    if hours is None or zone is None:
        return times + _LONGEST_INTRADAY_DAYS * DAY_MS
    return _intraday_bounds(times, timeframe.minutes * MINUTE_MS, hours, zone)


def _days_later(times: Integers, zone: ZoneInfo | None, days: int) -> Integers:
    """Return the same wall-clock time some days later."""
    if zone is None:
        # Summer time may end on the way, wherever it is.
        return times + days * DAY_MS + 60 * MINUTE_MS
    return from_wall(to_wall(times, zone) + days * DAY_MS, zone)


def _calendar_bounds(
    times: Integers, timeframe: Timeframe, hours: Hours | None, zone: ZoneInfo | None
) -> Integers:
    """Return the bounds of days, weeks and months."""
    days = _LONGEST_DAYS[timeframe.value]
    longest = _days_later(times, zone, days + _LONGEST_LEAD_DAYS)
    if hours is None or zone is None or hours.is_overnight:
        return longest
    if timeframe is not Timeframe.DAY_1:
        return _days_later(times, zone, days)
    since, _, day_end = _within_day(times, hours, zone)
    is_inside = since < hours.end * MINUTE_MS
    return np.where(is_inside, day_end, longest)


def _intraday_bounds(times: Integers, length: int, hours: Hours, zone: ZoneInfo) -> Integers:
    nominal = times + length
    if hours.end == 1440 and len(hours.legs) == 1:
        return nominal
    since, _, day_end = _within_day(times, hours, zone)
    bounds = nominal.copy()
    is_inside = since < hours.end * MINUTE_MS
    # A bar that runs into a break may go on after it, by as much as the break is long.
    last_begin = hours.legs[-1][0] * MINUTE_MS
    in_last = is_inside & (since >= last_begin)
    bounds[in_last] = np.minimum(nominal, day_end)[in_last]
    for begin, end in hours.legs[:-1]:
        runs_on = (since >= begin * MINUTE_MS) & (since < last_begin)
        runs_on &= since + length > end * MINUTE_MS
        bounds[runs_on] = np.maximum(nominal, day_end)[runs_on]
    return bounds


def is_spread_out(times: Integers, clock: Clock, *, n_gaps: int = 2) -> bool:
    """Return whether the rows lie too far apart to be bars of that length, one after another.

    No two of them are neighbours, and so many gaps or more are not explained by the hours of
    trade: one may be a holiday.
    """
    timeframe = Timeframe(clock.timeframe)
    gaps = np.diff(times)
    if timeframe.minutes is None:
        longest = _LONGEST_GAP_MS[timeframe.value]
    else:
        longest = timeframe.minutes * MINUTE_MS
    if len(gaps) < n_gaps or (gaps <= longest).any():
        return False
    return int(np.count_nonzero(~_is_gap_explained(times, clock))) >= n_gaps


def _is_gap_explained(times: Integers, clock: Clock) -> npt.NDArray[np.bool_]:
    """Return after which rows but the last no bar was to be expected for a while."""
    timeframe = Timeframe(clock.timeframe)
    hours, zone = parse_hours(clock.hours), parse_zone(clock.timezone)
    rows = times[:-1]
    if timeframe is Timeframe.DAY_1 and not (hours is not None and hours.has_weekend):
        dates = (times if zone is None else to_wall(times, zone)) // DAY_MS
        dates = dates + int(hours is not None and hours.is_overnight)
        n_skipped = np.busday_count((dates[:-1] + 1).view("M8[D]"), dates[1:].view("M8[D]"))
        none_skipped: npt.NDArray[np.bool_] = n_skipped == 0
        return none_skipped
    if timeframe.minutes is None or hours is None or zone is None:
        return np.zeros(len(rows), dtype=bool)
    since, _, _ = _within_day(rows, hours, zone)
    ends = np.array([end for _, end in hours.legs], dtype=np.int64) * MINUTE_MS
    leg_end = ends[np.minimum(np.searchsorted(ends, since, "right"), len(ends) - 1)]
    until_end = leg_end - since
    is_at_end: npt.NDArray[np.bool_] = until_end <= timeframe.minutes * MINUTE_MS
    return is_at_end & (until_end > 0)


def _within_day(
    times: Integers, hours: Hours, zone: ZoneInfo
) -> tuple[Integers, Integers, Integers]:
    """Return since when the trading day runs (ms), its number, and its last instant.

    A trading day is numbered by the date on which it begins, counted from 1970-01-01.
    """
    shifted = to_wall(times, zone) - hours.start * MINUTE_MS
    number = shifted // DAY_MS
    since = shifted - number * DAY_MS
    unique, position = np.unique(number, return_inverse=True)
    ends = from_wall(unique * DAY_MS + (hours.start + hours.end) * MINUTE_MS, zone)
    return since, number, ends[position]


def trading_days(times: Integers, hours: Hours, zone: ZoneInfo) -> Integers:
    """Return each bar's trading day, numbered by the date on which it begins."""
    return _within_day(times, hours, zone)[1]


def trading_dates(numbers: Integers, hours: Hours) -> Integers:
    """Return the date that each trading day has, as days since 1970-01-01.

    A day that begins on an evening has the date of the day after; Friday evening is Monday's.
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
    since, _, _ = _within_day(times, hours, zone)
    return since < hours.end * MINUTE_MS


def earliest_next(opened: int, timeframe: Timeframe, hours: Hours, zone: ZoneInfo) -> int:
    """Return the instant before which no bar can open after the one that opened then."""
    number = trading_days(np.array([opened], dtype=np.int64), hours, zone)
    next_day = int(day_starts(number + 1, hours, zone)[0])
    if timeframe.minutes is None:
        return next_day
    day = int(day_starts(number, hours, zone)[0])
    # After a break, bars may begin anew.
    legs = [day + begin * MINUTE_MS for begin, _ in hours.legs]
    later = [begin for begin in [*legs, next_day] if begin > opened]
    return min(opened + timeframe.minutes * MINUTE_MS, *later)
