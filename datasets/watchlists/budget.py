"""Budget: the calls that the watchlists need against those that `TV_RATE_PER_MINUTE` allows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform

from datasets.bars import BarLength, Timeframe
from datasets.calendars import CALENDAR_FACTS, DAY_MS, Calendar, Timetable
from datasets.calendars.gap_findings import to_ms
from datasets.errors import InvalidRequest
from datasets.models import Schedule, Series, Watchlist, database
from datasets.watchlists.kept_numbers import kept
from datasets.watchlists.series_plans import own_schedules, schedules_of

_HOUR_MS = DAY_MS // 24
_N_DAYS = 7
# A market whose hours are not known may be open at any time.
_ALWAYS_OPEN = Calendar(hours="24x7", timezone="Etc/UTC")

# How many series have this calendar and this length of bars.
Needs = Counter[tuple[Calendar, BarLength]]


@dataclass(slots=True)
class NeedsCounter:
    """Needs while they are counted; `known` are the facts of the newest series of exchanges, which counters may share."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs: Needs = field(default_factory=Counter)

    def add(
        self, exchange: str, timeframe: str, instrument: dict[str, Any] | None, number: int
    ) -> None:
        """Count series; those without bars have no instrument, and count with that of another series."""
        if instrument is None:
            if exchange not in self.known:
                self.known[exchange] = _newest_instrument(exchange)
            instrument = self.known[exchange]
        calendar = Calendar.of(instrument)
        known_hours = calendar if calendar.is_known else _ALWAYS_OPEN
        self.needs[known_hours, BarLength.parse(timeframe)] += number


@dataclass(frozen=True, slots=True)
class Budget:
    """The calls that the schedules need in the coming week, and the calls that are allowed.

    Parameters
    ----------
    calls_a_day
        Calls on the busiest day: one for each bar that closes.
    calls_an_hour
        Calls in the busiest hour, for bars shorter than a day.
    n_at_one_close
        The most series of days and longer bars that close at one instant; their calls come one
        after another.
    per_minute
        `TV_RATE_PER_MINUTE`; 0 for no limit.
    """

    calls_a_day: int
    calls_an_hour: int
    n_at_one_close: int
    per_minute: int

    @property
    def allowed_a_day(self) -> int | None:
        """The calls that are allowed on a day; None without a limit."""
        return self.per_minute * 1440 or None

    @property
    def allowed_an_hour(self) -> int | None:
        """The calls that are allowed in an hour; None without a limit."""
        return self.per_minute * 60 or None

    @property
    def close_takes_min(self) -> int | None:
        """Minutes until the series of the largest close are fetched; None without a limit."""
        return ceil(self.n_at_one_close / self.per_minute) if self.per_minute else None

    @property
    def fits(self) -> bool:
        """Whether the busiest day and the busiest hour stay within the limit."""
        if not self.per_minute:
            return True
        is_day_free = self.calls_a_day <= self.per_minute * 1440
        return is_day_free and self.calls_an_hour <= self.per_minute * 60

    @property
    def sentence(self) -> str:
        """The budget in words, for pages and replies."""
        if not self.per_minute:
            return f"The lists need {self.calls_a_day:,} calls a day; there is no limit."
        parts = [f"The lists need {self.calls_a_day:,} of {self.allowed_a_day:,} calls a day"]
        if self.calls_an_hour:
            parts.append(f"{self.calls_an_hour:,} of {self.per_minute * 60:,} in the busiest hour")
        sentence = ", and ".join(parts)
        if self.n_at_one_close > 1:
            sentence += (
                f"; {self.n_at_one_close:,} series of days or longer bars after one close "
                f"take {self.close_takes_min} min"
            )
        return sentence + "."


def present_budget(now: datetime | None = None) -> Budget:
    """Return the budget of all schedules that are not paused, for the page and the API of watchlists.

    `sentence` has it in words. Many series are counted once a minute, and after a change of a list; see `kept`.
    """
    needs = kept("budget", lambda: needs_of(own_schedules()))
    return budget_of(needs, database.shared_now() if now is None else now)


def require_fit(watchlist: Watchlist, field: str, now: datetime | None = None) -> None:
    """Raise `InvalidRequest` when the schedules need more calls than are allowed.

    Call it in the transaction of a change of `watchlist`, after the schedules were updated: the
    error then undoes the change. `field` is the field of the request that the error names.
    """
    now = database.shared_now() if now is None else now
    every, own = needs_of(own_schedules()), needs_of(schedules_of(watchlist))
    found = budget_of(every, now)
    if found.fits or not own:
        return
    message = f"The calls would exceed the limit (TV_RATE_PER_MINUTE), so nothing was changed. {found.sentence} "
    raise InvalidRequest({field: [message + _advice(every, own, now)]})


def needs_of(schedules: QuerySet[Schedule]) -> Needs:
    """Count the series that are not paused, by calendar and length; one query, and one for each exchange with new series.

    A series without bars counts with the calendar of another series at its exchange; without any,
    as always open.
    """
    facts: dict[str, Any] = {
        f"fact_{name}": KeyTextTransform(name, "series__instrument") for name in CALENDAR_FACTS
    }
    # Counted by the database: the facts of some ten thousand instruments take seconds to load.
    rows = schedules.filter(is_paused=False).order_by().values("exchange", "timeframe")
    counted = rows.annotate(**facts, is_new=Q(series=None)).annotate(number=Count("pk"))
    found = NeedsCounter()
    for row in map(dict[str, Any], counted):
        instrument = {name: row[f"fact_{name}"] for name in CALENDAR_FACTS}
        found.add(
            row["exchange"], row["timeframe"], None if row["is_new"] else instrument, row["number"]
        )
    return found.needs


def _newest_instrument(exchange: str) -> dict[str, Any]:
    """Return the facts of the exchange's series that was fetched last; empty without a series."""
    others = Series.objects.filter(source=settings.TV_SOURCE, exchange=exchange)
    newest = others.order_by("-fetched_at", "-pk").values_list("instrument", flat=True).first()
    return newest or {}


def budget_of(needs: Needs, now: datetime) -> Budget:
    """Return the budget of these series for the seven days from `now` on."""
    first_hour = to_ms(now) // _HOUR_MS
    intraday, longer = np.zeros((2, _N_DAYS * 24), dtype=np.int64)
    at_close: Counter[int] = Counter()
    for (calendar, length), number in needs.items():
        week = _week_of(calendar, length, first_hour)
        calls = intraday if length.minutes is not None else longer
        calls += number * week.n_closing
        at_close.update(dict.fromkeys(week.closes, number))
    by_day = (intraday + longer).reshape(_N_DAYS, 24).sum(axis=1)
    return Budget(
        calls_a_day=int(by_day.max()),
        calls_an_hour=int(intraday.max()),
        n_at_one_close=max(at_close.values(), default=0),
        per_minute=settings.TV_RATE_PER_MINUTE,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Week:
    """The bars that close in the hours of a week, shape (168,), and the closes of days and longer bars, UNIX ms."""

    n_closing: npt.NDArray[np.int64]
    closes: tuple[int, ...]


@lru_cache(maxsize=512)
def _week_of(calendar: Calendar, length: BarLength, first_hour: int) -> _Week:
    hours = _HOUR_MS * (first_hour + np.arange(_N_DAYS * 24 + 1))
    table = Timetable.around(calendar, length, int(hours[0]), int(hours[-1]))
    if table is None:
        return _Week(np.zeros(_N_DAYS * 24, dtype=np.int64), ())
    closed = [table.n_closed(int(hour)) for hour in hours]
    closes = set[int]()
    if length.minutes is None:
        closes = {table.close_of(each) or 0 for each in range(closed[0], closed[-1])} - {0}
    return _Week(np.diff(closed), tuple(closes))


def _advice(every: Needs, own: Needs, now: datetime) -> str:
    """Return what would fit: the list's most frequent bars at a longer timeframe, or fewer series."""
    shortest = min((length for _, length in own), key=_minutes_of)
    others = [
        each for each in Timeframe if _minutes_of(BarLength.parse(each)) > _minutes_of(shortest)
    ]
    for timeframe in others:
        thinned = every.copy()
        for (calendar, length), number in own.items():
            if length == shortest:
                thinned[calendar, length] -= number
                thinned[calendar, BarLength.parse(timeframe)] += number
        if budget_of(thinned, now).fits:
            return f"With {timeframe.label} in place of {shortest.label} the list would fit; or use fewer symbols."
    return "No longer timeframe makes the list fit; use fewer symbols, or remove other lists."


def _minutes_of(length: BarLength) -> int:
    days = {"D": 1, "W": 7, "M": 31}
    return length.minutes or days[length.unit] * length.count * 1440
