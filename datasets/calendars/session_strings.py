"""Grammar of session strings: the charting library's documented forms, and the letters seen in recordings.

docs/calendars.md has the table of forms. A text outside the grammar gives None: "hours unknown".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Self

# First and last minute of a period of trade, counted from midnight of the trading date; the
# second is not part of the period. A period on the evening before has a negative first minute.
Period = tuple[int, int]

_DAY = 1440
_EPOCH = date(1970, 1, 1).toordinal()
# Earlier than any bar.
BEGINNING = -(10**6)
_MONDAY_TO_FRIDAY = "23456"
_PERIOD = re.compile(r"([0-9][0-9])([0-9][0-9])(F[0-9]?)?-([0-9][0-9])([0-9][0-9])(F[0-9]?)?")
# `A` and `E` begin an auction, `S` and `U` stand for a comma.
_AUCTION = re.compile(r"[AE]([0-9]{4}(?:-[0-9]{4})?)")
_AUCTION_BEFORE = re.compile(r"A([0-9][0-9])([0-9][0-9])")
_FIRST_DAY = re.compile(r"(?:([1-7]);)?([^;]*)(?:;([1-7]))?")
_ERA = re.compile(r"(.*)#([0-9]{8})")
_ROUND_THE_CLOCK = "24x7"


@dataclass(frozen=True, slots=True)
class DayHours:
    """The periods of trade of one trading day, in order.

    `anchor` is the minute from which the day's intraday bars are counted. It is before the
    first period where the string names an auction before the opening.
    """

    periods: tuple[Period, ...]
    anchor: int

    def joined_with(self, other: DayHours) -> DayHours | None:
        """Return the hours of both sections; None where they overlap."""
        periods = sorted([*self.periods, *other.periods])
        if any(one[1] > two[0] for one, two in zip(periods, periods[1:], strict=False)):
            return None
        return DayHours(tuple(periods), min(self.anchor, other.anchor))

    def with_breaks_of(self, shown: DayHours | None) -> DayHours:
        """Return the hours with the breaks of the hours that the feed shows to people.

        The end stays: trade can go on after the end that is shown.
        """
        start, end = self.periods[0][0], self.periods[-1][1]
        if shown is None or len(shown.periods) <= len(self.periods):
            return self
        if shown.periods[0][0] < start or shown.periods[-1][1] > end:
            return self
        *earlier, (last_start, _) = shown.periods
        return DayHours((*earlier, (last_start, end)), self.anchor)


@dataclass(frozen=True, slots=True)
class WeekHours:
    """The hours of each weekday, Monday first; None for a weekday without trade."""

    days: tuple[DayHours | None, ...]
    # First day of the trading week; Monday is 0.
    first_weekday: int

    @classmethod
    def of(cls, days: tuple[DayHours | None, ...]) -> Self:
        """Return the usual week of these days.

        It begins on Monday, or for a market that is closed on Friday on the first day after the
        weekend.
        """
        if days[4] is not None or not any(days):
            return cls(days, 0)
        return cls(days, next(day % 7 for day in range(5, 12) if days[day % 7] is not None))


@dataclass(frozen=True, slots=True)
class SessionHours:
    """Weekly hours, each from a day on; days are counted from 1970-01-01."""

    eras: tuple[tuple[int, WeekHours], ...]

    @property
    def first_weekday(self) -> int:
        """First day of the trading week by the newest hours; Monday is 0."""
        return self.eras[-1][1].first_weekday


@lru_cache(maxsize=1024)
def parse_session(text: str) -> SessionHours | None:
    """Parse a session string; None for a text outside the grammar.

    `OLD#20260803/NEW` are the hours OLD, and from 2026-08-03 on NEW. The change takes effect on
    the first day of a trading week.
    """
    *old, newest = text.split("/")
    eras: list[tuple[int, WeekHours]] = []
    begin: int | None = BEGINNING
    for part in old:
        found = _ERA.fullmatch(part)
        week = _parse_week(found[1]) if found else None
        if found is None or week is None or begin is None:
            return None
        eras.append((_week_start(begin, week), week))
        begin = parse_date(found[2])
    week = _parse_week(newest)
    if week is None or begin is None:
        return None
    eras.append((_week_start(begin, week), week))
    is_ordered = all(first[0] < second[0] for first, second in zip(eras, eras[1:], strict=False))
    return SessionHours(tuple(eras)) if is_ordered else None


def documented_form(text: str) -> str:
    """Return the hours in the charting library's documented grammar: without auctions, `S` and `U` as commas."""
    return re.sub(r",+", ",", re.sub(r"[SU]", ",", _AUCTION.sub("", text))).strip(",")


def _week_start(day: int, week: WeekHours) -> int:
    """Return the first day of a trading week that is not before `day`."""
    # 1970-01-01 was a Thursday.
    return day if day == BEGINNING else day + (week.first_weekday - (day + 3)) % 7


def _parse_week(text: str) -> WeekHours | None:
    """Parse `0900-1630|0900-1400:2;6`: sections of hours, their days, and the first day of the week."""
    if text == _ROUND_THE_CLOCK:
        return WeekHours((DayHours(((0, _DAY),), 0),) * 7, 0)
    found = _FIRST_DAY.fullmatch(text)
    if found is None or (found[1] and found[3]):
        return None
    # A section that names its days wins over one that does not.
    usual: dict[int, DayHours] = {}
    named: dict[int, DayHours] = {}
    for section in found[2].split("|"):
        plain, separator, digits = section.partition(":")
        if not re.fullmatch("[1-7]+" if separator else "", digits):
            return None
        chosen = named if separator else usual
        for digit in digits or _MONDAY_TO_FRIDAY:
            weekday = _weekday(digit)
            hours, earlier = parse_day(plain), chosen.get(weekday)
            if hours is not None and earlier is not None:
                hours = earlier.joined_with(hours)
            if hours is None:
                return None
            chosen[weekday] = hours
    days = tuple((usual | named).get(weekday) for weekday in range(7))
    first = found[1] or found[3]
    return WeekHours(days, _weekday(first)) if first else WeekHours.of(days)


def _weekday(digit: str) -> int:
    """Return the weekday of a digit: 1 is Sunday, and Monday is the weekday 0."""
    return (int(digit) - 2) % 7


@lru_cache(maxsize=1024)
def parse_day(text: str) -> DayHours | None:
    """Parse the hours of one trading day, such as `0900-1130,1300-1500`; None for any other text."""
    if text == _ROUND_THE_CLOCK:
        return DayHours(((0, _DAY),), 0)
    auctions = [int(found[1]) * 60 + int(found[2]) for found in _AUCTION_BEFORE.finditer(text)]
    plain = re.sub("[SU]", ",", _AUCTION.sub("", text))
    periods: list[Period] = []
    for part in reversed(plain.split(",")):
        period = _parse_period(part, before=periods[0] if periods else None)
        if period is None:
            return None
        periods.insert(0, period)
    first = periods[0][0]
    # An auction more than an hour before the opening is not the begin of the day's first bar.
    anchors = [minute for minute in auctions if 0 < first - minute < 60]
    return DayHours(tuple(periods), min(anchors, default=first))


def _parse_period(text: str, *, before: Period | None) -> Period | None:
    """Parse one period; `before` is the period that follows it on the same trading day."""
    found = _PERIOD.fullmatch(text)
    if found is None:
        return None
    start, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 4))
    if int(found[1]) > 24 or int(found[4]) > 47 or int(found[2]) > 59 or int(found[5]) > 59:
        return None
    if found[3] or found[6]:
        start -= _DAY * _days_before(found[3])
        end -= _DAY * _days_before(found[6])
    elif start == end == 0:
        end = _DAY
    elif end <= start:
        start -= _DAY
    if before is not None and start >= before[0] and not (found[3] or found[6]):
        # `2100-2300,0900-1500`: a period before an earlier one is on the evening before.
        start, end = start - _DAY, end - _DAY
    is_in_order = start < end and (before is None or end <= before[0])
    return (start, end) if is_in_order and end - start <= 2 * _DAY else None


def _days_before(mark: str | None) -> int:
    """Return the days before the trading date: `F` is one day, `F3` three."""
    return int(mark[1:] or "1") if mark else 0


def parse_date(text: str) -> int | None:
    """Return the days from 1970-01-01 to `YYYYMMDD`; None for any other text."""
    if not re.fullmatch(r"[0-9]{8}", text):
        return None
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
    return day.toordinal() - _EPOCH


@lru_cache(maxsize=256)
def parse_dates(text: str) -> frozenset[int]:
    """Return the days of `YYYYMMDD,YYYYMMDD`; a part that is no date is left out."""
    return frozenset(
        day for part in text.split(",") if (day := parse_date(part.strip())) is not None
    )


@dataclass(frozen=True, slots=True)
class Corrections:
    """Days with other hours than the week's.

    `days` has None for a day off. `is_whole` is false where a part of the text is outside the
    grammar; that part is left out.
    """

    days: dict[int, DayHours | None]
    is_whole: bool


@lru_cache(maxsize=256)
def parse_corrections(text: str) -> Corrections:
    """Parse `0930-1300:20241129,20241224;dayoff:20250109`."""
    days: dict[int, DayHours | None] = {}
    is_whole = True
    for entry in filter(None, text.split(";")):
        plain, _, dates = entry.rpartition(":")
        hours = None if plain == "dayoff" else parse_day(plain)
        if hours is None and plain != "dayoff":
            is_whole = False
            continue
        found = parse_dates(dates)
        is_whole = is_whole and len(found) == len(set(dates.split(",")))
        days |= dict.fromkeys(found, hours)
    return Corrections(days, is_whole)
