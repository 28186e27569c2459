"""Schedules under a clock that a test holds: archived series, and fetches that end at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from datasets import watchlists
from datasets.bars import BarLength
from datasets.calendars import CALENDAR_FACTS, DAY_MS, Calendar, Timetable, expected_bars
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.fetching.schedule import sweep_schedules
from datasets.models import Fetch, Schedule, Series

NEW_YORK = {
    "session_hours": "0930-1600",
    "timezone": "America/New_York",
    "session_holidays": "20260101,20260907,20261126,20261225,20270101",
    "session_correction": "0930-1300:20261127,20261224",
}
SYDNEY = {"session_hours": "1000-1600", "timezone": "Australia/Sydney"}
CRYPTO = {"session_hours": "24x7", "timezone": "Etc/UTC"}
LONG_AGO = datetime.fromisoformat("2020-01-01T00:00+00:00")


def at(text: str) -> datetime:
    """Return an instant in UTC from `2026-11-25 21:00`."""
    return datetime.fromisoformat(f"{text}+00:00")


def watched(
    symbol: str = "NASDAQ:AAPL",
    timeframe: str = "1D",
    facts: dict[str, str] = NEW_YORK,
    *,
    begin: datetime,
    delay_s: int = 0,
    settle_s: int = 5,
) -> Schedule:
    """Return the schedule of an archived series in a watchlist, whose next fetch is planned at `begin`."""
    assert set(facts) <= set(CALENDAR_FACTS)
    watchlist = watchlists.create_watchlist(
        f"{symbol} {timeframe}", timeframes=[timeframe], first_bars=300, settle_s=settle_s
    )
    watchlists.add_symbols(watchlist, watchlists.read_symbols(symbol))
    schedule: Schedule = watchlists.schedules_of(watchlist).get()
    schedule.series = Series.objects.create(
        **schedule.series_key.as_dict(),
        sequence=1,
        n_rows=300,
        bytes=1,
        first_time=LONG_AGO,
        last_time=LONG_AGO,
        last_bar_final=True,
        fetched_at=LONG_AGO,
        instrument={**facts, "delay_s": delay_s},
    )
    schedule.backfilled_at = LONG_AGO
    schedule.due_at = begin
    schedule.save()
    return schedule


def end_fetches(now: datetime, *, brings_bars: bool = True, **values: Any) -> None:
    """End all fetches of the queue; by default they succeed and bring the newest bars."""
    ended = {"state": Fetch.State.SUCCEEDED, "finished_at": now} | values
    for fetch in Fetch.objects.filter(state__in=Fetch.ACTIVE):
        series = Series.find(fetch.series_key)
        Fetch.objects.filter(pk=fetch.pk).update(**ended, series=series)
        if series is not None and brings_bars and ended["state"] == Fetch.State.SUCCEEDED:
            series.fetched_at = now
            series.last_time, series.last_bar_final = newest_bar(series, now)
            series.save()


def newest_bar(series: Series, now: datetime) -> tuple[datetime, bool]:
    """Return the opening of the newest bar that has begun, and whether it has closed."""
    calendar, now_ms = Calendar.of(series.instrument), to_ms(now)
    calendar = calendar if calendar.is_known else Calendar("24x7", "Etc/UTC")
    length = BarLength.parse(series.timeframe)
    opens = expected_bars(calendar, length, now_ms - 80 * DAY_MS, now_ms + 80 * DAY_MS).opens
    opened = int(opens[opens <= now_ms][-1])
    table = Timetable.around(calendar, length, opened, now_ms)
    close = None if table is None else table.close_of(table.n_opened(opened) - 1)
    assert close is not None
    return to_instant(opened), close <= now_ms


def play(begin: datetime, end: datetime, **values: Any) -> list[datetime]:
    """Let the sweeps run from `begin` to before `end`; return when they opened a fetch.

    The clock jumps to the next due time. Each fetch ends at once, with `values`.
    """
    opened, now = [], begin
    while now < end:
        opened += [now] * len(sweep_schedules(now))
        end_fetches(now, **values)
        sweep_schedules(now)
        due = Schedule.objects.filter(is_paused=False).order_by("due_at").first()
        if due is None or due.due_at is None:
            break
        now = max(due.due_at, now + timedelta(seconds=1))
    return opened
