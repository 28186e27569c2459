"""Market holidays by rule, as days since 1970-01-01."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

YEARS = range(1948, 2046)
EPOCH = date(1970, 1, 1)
MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6

# Days of mourning for US presidents; they follow no rule.
_US_EXTRA = (date(2004, 6, 11), date(2007, 1, 2), date(2018, 12, 5), date(2025, 1, 9))


def day_number(day: date) -> int:
    """Return the days since 1970-01-01, negative before it."""
    return (day - EPOCH).days


@cache
def us_holidays() -> frozenset[int]:
    """Return the days on which New York's exchanges do not trade."""
    days = list(_US_EXTRA)
    for year in YEARS:
        days += [
            _nth_weekday(year, 2, MONDAY, 3),
            _easter(year) - timedelta(2),
            _nth_weekday(year, 6, MONDAY, 1) - timedelta(7),  # the last Monday of May
            _observed(date(year, 7, 4)),
            _nth_weekday(year, 9, MONDAY, 1),
            _nth_weekday(year, 11, THURSDAY, 4),
            _observed(date(year, 12, 25)),
        ]
        if year >= 1998:
            days.append(_nth_weekday(year, 1, MONDAY, 3))
        if year >= 2022:
            days.append(_observed(date(year, 6, 19)))
        if date(year, 1, 1).weekday() != SATURDAY:  # New Year on a Saturday has no substitute day
            days.append(_observed(date(year, 1, 1)))
    return frozenset(map(day_number, days))


@cache
def us_early_closes() -> frozenset[int]:
    """Return the days on which New York closes at 13:00."""
    days = []
    for year in range(1993, YEARS.stop):
        days.append(_nth_weekday(year, 11, THURSDAY, 4) + timedelta(1))
        if date(year, 7, 4).weekday() in range(1, 5):
            days.append(date(year, 7, 3))
        if date(year, 12, 24).weekday() < 4:
            days.append(date(year, 12, 24))
    return frozenset(map(day_number, days)) - us_holidays()


@cache
def european_holidays() -> frozenset[int]:
    """Return the days on which London and Frankfurt do not trade."""
    days = set()
    for year in YEARS:
        easter = _easter(year)
        days |= {easter - timedelta(2), easter + timedelta(1)}
        days |= {date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)}
    return frozenset(map(day_number, days))


@cache
def fixed_holidays(*month_days: tuple[int, int]) -> frozenset[int]:
    """Return the same calendar days of every year."""
    return frozenset(day_number(date(year, *both)) for year in YEARS for both in month_days)


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _observed(day: date) -> date:
    if day.weekday() == SATURDAY:
        return day - timedelta(1)
    return day + timedelta(1) if day.weekday() == SUNDAY else day


def _easter(year: int) -> date:
    """Return Easter Sunday by the anonymous Gregorian rule."""
    golden, century, rest = year % 19, year // 100, year % 100
    correction = (8 * century + 13) // 25
    epact = (19 * golden + century - century // 4 - correction + 15) % 30
    shift = (golden + 11 * epact) // 319
    weekday = (2 * (century % 4) + 2 * (rest // 4) - rest % 4 - epact + shift + 32) % 7
    month = (epact - shift + weekday + 90) // 25
    return date(year, month, (epact - shift + weekday + month + 19) % 32)
