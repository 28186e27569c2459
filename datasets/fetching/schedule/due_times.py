"""Due times: the instants at which a schedule fetches a series, by the calendar of its market.

A fetch is due at a bar's close, plus the feed's delay, the watchlist's wait and a jitter. It is
never computed from the last fetch, so that it does not drift, and clock changes, holidays and
short days are the calendar's affair. A closed market closes no bar, and so causes no fetch.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from datasets.bars import BarLength, Timeframe
from datasets.bars.series_keys import SeriesKey
from datasets.calendars import Calendar, Timetable, longest_jitter
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.models import Schedule
from datasets.watchlists.freshness import series_freshness

# Pauses after failures differ by up to this part.
_SPREAD_PART = 0.2
_MILLISECOND = timedelta(milliseconds=1)
# A market whose hours are not known may be open at any time.
_ALWAYS_OPEN = Calendar(hours="24x7", timezone="Etc/UTC")
# For a calendar without any later session.
_WITHOUT_CLOSE = timedelta(days=1)
_FIRST_LOOK = timedelta(minutes=10)
_LATEST_LOOK = timedelta(hours=3)
FIRST_BACK_OFF = timedelta(minutes=2)
LONGEST_BACK_OFF = timedelta(hours=24)


def next_due(schedule: Schedule, now: datetime) -> datetime:
    """Return the first instant after `now` at which a bar of the series can be fetched; aware, UTC."""
    calendar = Calendar.of(_facts_of(schedule))
    lag_ms = lag_of(schedule)
    after = to_ms(now) - lag_ms
    table = Timetable.around(
        calendar if calendar.is_known else _ALWAYS_OPEN,
        BarLength.parse(schedule.timeframe),
        after,
        after,
    )
    close = None if table is None else table.close_of(table.n_closed(after))
    return now + _WITHOUT_CLOSE if close is None else to_instant(close + lag_ms)


def is_held(schedule: Schedule, now: datetime) -> bool:
    """Return whether the archive already has all bars that the schedule fetches by now.

    A fetch of a person may have brought them; the schedule then needs no call.
    """
    if schedule.series is None:
        return False
    return series_freshness(schedule.series, now - _wait_of(schedule)).lag_bars == 0


def look_again_at(schedule: Schedule, now: datetime) -> datetime | None:
    """Return when to fetch once more after a fetch that did not bring the newest bar; None for not.

    A feed can be late with a day's bar, and the next regular fetch is a day away. The pauses
    double, and end three hours after the close. An intraday bar comes with the next one.
    """
    if schedule.series is None or Timeframe(schedule.timeframe).is_intraday:
        return None
    fresh = series_freshness(schedule.series, now - _wait_of(schedule))
    if not fresh.lag_bars or fresh.expected_through is None:
        return None
    age = now - fresh.expected_through
    return None if age > _LATEST_LOOK else now + max(age, _FIRST_LOOK)


def lag_of(schedule: Schedule) -> int:
    """Return the milliseconds between a bar's close and its fetch: delay, wait and jitter."""
    delay_s = int(_facts_of(schedule).get("delay_s") or 0)
    return 1000 * delay_s + _wait_of(schedule) // _MILLISECOND


def back_off(schedule: Schedule, failures: int) -> timedelta:
    """Return the pause after `failures` failures in a row: doubled each time, at most 24 h, and spread."""
    pause: timedelta = min(FIRST_BACK_OFF * (1 << min(failures - 1, 16)), LONGEST_BACK_OFF)
    # Series that failed together must not come back together.
    return pause * (1 - _SPREAD_PART * jitter_of(schedule.series_key))


def jitter_of(key: SeriesKey) -> float:
    """Return a number from 0 up to 1 that is always the same for one series."""
    spelled = "\x1f".join(key.as_dict().values())
    return int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:4]) / 2**32


def _wait_of(schedule: Schedule) -> timedelta:
    """Return the wait of the list and the jitter, after the feed's delay."""
    longest = longest_jitter(BarLength.parse(schedule.timeframe))
    wait = timedelta(seconds=schedule.settle_s) + jitter_of(schedule.series_key) * longest
    # In whole milliseconds, as the closes are: at its due time a bar has closed.
    return wait - wait % _MILLISECOND


def _facts_of(schedule: Schedule) -> dict[str, Any]:
    facts: dict[str, Any] = {} if schedule.series is None else schedule.series.instrument
    return facts
