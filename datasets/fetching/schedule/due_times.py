"""Due times: the instants at which a schedule fetches a series, by the calendar of its market.

A fetch is due at a bar's close, plus the feed's delay, the watchlist's wait and a jitter. It is
never computed from the last fetch, so that it does not drift, and clock changes, holidays and
short days are the calendar's affair. A closed market closes no bar, and so causes no fetch.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from datasets.bars import BarLength
from datasets.bars.series_keys import SeriesKey
from datasets.calendars import DAY_MS, Calendar, closing_bars
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.models import Schedule

# The longest jitter: a part of an intraday bar, and of it at most this.
_JITTER_PART = 0.2
_LONGEST_JITTER_MS = 600_000
# Hundreds of daily series close at one instant, and TradingView allows few calls a minute.
_DAILY_JITTER_MS = 2_700_000
# How far ahead the next close is searched for, in steps, because most series close soon.
_AHEAD_DAYS = (2, 16, 120, 500)
# For a calendar without any later session.
_WITHOUT_CLOSE = timedelta(days=1)
FIRST_BACK_OFF = timedelta(minutes=2)
LONGEST_BACK_OFF = timedelta(hours=24)


def next_due(schedule: Schedule, now: datetime) -> datetime:
    """Return the first instant after `now` at which a bar of the series can be fetched; aware, UTC."""
    lag_ms = lag_of(schedule)
    after = to_ms(now) - lag_ms
    for days in _AHEAD_DAYS:
        _, closes = _closing(schedule, after, after + days * DAY_MS)
        if len(closes):
            return to_instant(int(closes[0]) + lag_ms)
    return now + _WITHOUT_CLOSE


def is_held(schedule: Schedule, now: datetime) -> bool:
    """Return whether the archive already has the newest bar that can be fetched by now, closed.

    A fetch of a person may have brought the bar; the schedule then needs no call.
    """
    series = schedule.series
    if series is None:
        return False
    after = to_ms(now) - lag_of(schedule)
    for days in _AHEAD_DAYS:
        opens, _ = _closing(schedule, after - days * DAY_MS, after)
        if len(opens):
            last, newest = to_ms(series.last_time), int(opens[-1])
            return last > newest or (last == newest and series.last_bar_final)
    return False


def lag_of(schedule: Schedule) -> int:
    """Return the milliseconds between a bar's close and its fetch: delay, wait and jitter."""
    facts = {} if schedule.series is None else schedule.series.instrument
    delay_s = int(facts.get("delay_s") or 0)
    length = BarLength.parse(schedule.timeframe)
    longest_ms: float = _DAILY_JITTER_MS
    if length.minutes is not None:
        longest_ms = min(_JITTER_PART * length.minutes * 60_000, _LONGEST_JITTER_MS)
    jitter_ms = int(jitter_of(schedule.series_key) * longest_ms)
    return 1000 * (delay_s + schedule.settle_s) + jitter_ms


def back_off(schedule: Schedule, failures: int) -> timedelta:
    """Return the pause after so many failures in a row: doubled each time, at most 24 h, and spread."""
    pause: timedelta = min(FIRST_BACK_OFF * (1 << min(failures - 1, 16)), LONGEST_BACK_OFF)
    # Series that failed together must not come back together.
    return pause * (1 - _JITTER_PART * jitter_of(schedule.series_key))


def jitter_of(key: SeriesKey) -> float:
    """Return a number from 0 up to 1 that is always the same for one series."""
    spelled = "\x1f".join(key.as_dict().values())
    return int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:4]) / 2**32


def _closing(schedule: Schedule, after_ms: int, through_ms: int) -> tuple[list[int], list[int]]:
    facts = {} if schedule.series is None else schedule.series.instrument
    length = BarLength.parse(schedule.timeframe)
    opens, closes = closing_bars(Calendar.of(facts), length, after_ms, through_ms)
    return opens.tolist(), closes.tolist()
