"""How many closed bars are not held: the timetable, and the rule of the lag."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.bars import BarLength
from datasets.calendars import Calendar, Holding, Lag, Timetable, expected_bars, find_lag

CRYPTO = Calendar("24x7", "Etc/UTC")
NEW_YORK = Calendar("0930-1600", "America/New_York", holidays="20241225,20250101,20251225")
TOKYO = Calendar("0900-1530", "Asia/Tokyo", "0900-1130,1230-1530")
FOREX = Calendar("1700-1700", "America/New_York")
MINUTE, HOUR, DAY, WEEK, MONTH = (
    BarLength(*each) for each in ((1, "m"), (60, "m"), (1, "D"), (1, "W"), (1, "M"))
)
DAY_MS = 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def lag(
    calendar: Calendar,
    length: BarLength,
    *,
    last: str,
    now: str,
    fetched: str = "",
    is_final: bool = True,
    delay_s: int = 0,
) -> Lag:
    """Return the lag; without `fetched` the feed answered right after the last bar's opening."""
    held = Holding(length, calendar, ms(last), is_final, ms(fetched or last), delay_s * 1000)
    found = find_lag(held, ms(now))
    assert found is not None
    return found


# --- the timetable ------------------------------------------------------------------------


@given(
    calendar=st.sampled_from([CRYPTO, NEW_YORK, TOKYO, FOREX]),
    length=st.sampled_from([MINUTE, BarLength(45, "m"), HOUR, BarLength(240, "m"), DAY, WEEK, MONTH]),
    start=st.integers(ms("2024-03-01"), ms("2025-04-10")),
    span=st.integers(0, 12 * DAY_MS),
)  # fmt: skip
def test_the_timetable_counts_the_expected_bars(
    calendar: Calendar, length: BarLength, start: int, span: int
) -> None:
    table = Timetable.around(calendar, length, start, start + span)
    listed = expected_bars(calendar, length, start, start + span)

    assert table is not None
    number = table.n_closed(start)
    following, before = table.close_of(number), table.close_of(number - 1)
    assert before is not None
    assert following is not None
    assert before <= start < following
    if length.minutes is None:
        return
    if len(listed):
        first, last = int(listed.opens[0]), int(listed.opens[-1])
        assert table.n_opened(last) - table.n_opened(first) + 1 == len(listed)
    # Each bar closes on its grid, or where its session ends before that.
    for place in range(min(3, len(listed))):
        close = table.close_of(table.n_opened(int(listed.opens[place])) - 1)
        assert close is not None
        assert listed.opens[place] < close <= listed.ends[place]


def test_no_bar_is_expected_where_the_hours_are_not_known() -> None:
    assert Timetable.around(Calendar("gibberish"), HOUR, 0, DAY_MS) is None
    assert find_lag(Holding(HOUR, Calendar(), 0, True, 0), DAY_MS) is None


# --- the lag ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "n_bars", "through"),
    [
        ("2025-01-06T15:29", 0, "2025-01-03T21:00"),
        ("2025-01-06T15:30", 1, "2025-01-06T15:30"),
        ("2025-01-06T20:59", 6, "2025-01-06T20:30"),
        # The last hour of the day has half an hour.
        ("2025-01-06T21:00", 7, "2025-01-06T21:00"),
        ("2025-01-07T14:30", 7, "2025-01-06T21:00"),
    ],
)
def test_hours_are_counted_by_the_calendar(now: str, n_bars: int, through: str) -> None:
    found = lag(NEW_YORK, HOUR, last="2025-01-03T20:30", fetched="2025-01-03T21:00:20", now=now)

    assert found.n_bars == n_bars
    assert found.expected_through_ms == ms(through)
    assert found.held_through_ms == ms("2025-01-03T21:00")
    assert found.complete_until_ms == ms("2025-01-06T15:30")


@pytest.mark.parametrize(
    ("length", "last", "now", "n_bars", "until"),
    [
        # Christmas and New Year are no trading days.
        (DAY, "2024-12-24T14:30", "2024-12-26T20:59", 0, "2024-12-26T21:00"),
        (DAY, "2024-12-24T14:30", "2025-01-02T21:00", 5, "2024-12-26T21:00"),
        (WEEK, "2024-12-16T14:30", "2025-01-03T20:59", 1, "2024-12-27T21:00"),
        (WEEK, "2024-12-16T14:30", "2025-01-03T21:00", 2, "2024-12-27T21:00"),
        (MONTH, "2024-11-01T13:30", "2024-12-31T21:00", 1, "2024-12-31T21:00"),
    ],
)
def test_days_weeks_and_months_close_with_their_last_session(
    length: BarLength, last: str, now: str, n_bars: int, until: str
) -> None:
    found = lag(NEW_YORK, length, last=last, now=now)

    assert (found.n_bars, found.complete_until_ms) == (n_bars, ms(until))


def test_a_delayed_feed_can_give_a_bar_only_after_its_delay() -> None:
    early, late = (
        lag(NEW_YORK, HOUR, last="2025-01-03T20:30", now=now, delay_s=900)
        for now in ("2025-01-06T15:44:59", "2025-01-06T15:45")
    )

    assert (early.n_bars, late.n_bars) == (0, 1)
    assert late.complete_until_ms == ms("2025-01-06T15:45")


def test_a_bar_that_was_forming_is_behind_from_its_close_on() -> None:
    before, after = (
        lag(CRYPTO, HOUR, last="2025-01-03T20:00", fetched="2025-01-03T20:10", is_final=False, now=now)
        for now in ("2025-01-03T20:59", "2025-01-03T21:00")
    )  # fmt: skip

    assert (before.n_bars, after.n_bars) == (0, 1)
    assert after.held_through_ms == ms("2025-01-03T20:00")


def test_the_clocks_change_and_a_break_of_trade_adds_nothing() -> None:
    # Summer time begins in New York on 2025-03-09: one hour earlier in UTC.
    spring = lag(NEW_YORK, DAY, last="2025-03-07T14:30", now="2025-03-10T20:00")
    lunch = lag(TOKYO, HOUR, last="2025-01-06T02:00", now="2025-01-06T03:45")

    assert (spring.n_bars, spring.complete_until_ms) == (1, ms("2025-03-10T20:00"))
    assert lunch.n_bars == 0


# --- bars that the feed does not have -----------------------------------------------------


def test_a_minute_without_trade_is_no_lag_once_a_fetch_has_looked_for_it() -> None:
    found = lag(
        NEW_YORK, MINUTE, last="2025-01-06T15:00", fetched="2025-01-06T15:30:10", now="2025-01-06T15:32"
    )  # fmt: skip

    assert found.n_bars == 2
    assert found.held_through_ms == ms("2025-01-06T15:30")


def test_a_bar_that_closed_right_before_the_fetch_was_not_looked_for() -> None:
    found = lag(
        CRYPTO, MINUTE, last="2025-01-06T15:00", fetched="2025-01-06T15:30:04", now="2025-01-06T15:30:30"
    )  # fmt: skip

    assert (found.n_bars, found.held_through_ms) == (1, ms("2025-01-06T15:29"))


@pytest.mark.parametrize(("length", "n_bars"), [(DAY, 1), (HOUR, 7)])
def test_a_whole_session_without_a_bar_is_lag_though_a_fetch_has_looked(
    length: BarLength, n_bars: int
) -> None:
    last = "2025-01-03T14:30" if length is DAY else "2025-01-03T19:30"
    found = lag(
        NEW_YORK, length, last=last, fetched="2025-01-06T22:00", now="2025-01-06T23:00"
    )  # fmt: skip

    assert (found.n_bars, found.n_absent) == (n_bars, n_bars)
    assert found.held_through_ms == ms("2025-01-03T21:00")


def test_a_fetch_that_a_fast_clock_has_dated_covers_nothing_of_the_future() -> None:
    found = lag(
        CRYPTO, MINUTE, last="2025-01-06T15:00", fetched="2025-01-06T18:00", now="2025-01-06T15:10"
    )  # fmt: skip

    assert found.n_bars == 0
    assert found.complete_until_ms == ms("2025-01-06T15:11")


def test_years_are_counted_as_quickly_as_minutes() -> None:
    found = lag(CRYPTO, MINUTE, last="2020-01-01T00:00", now="2025-01-01T00:00")

    assert found.n_bars == np.timedelta64(ms("2025-01-01T00:00") - ms("2020-01-01T00:01"), "ms") // np.timedelta64(1, "m")  # fmt: skip
