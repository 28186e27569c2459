"""The schedule fetches each bar once, soon after its close, by the market's calendar and under a held clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from datasets import watchlists
from datasets.errors import SymbolNotFound
from datasets.fetching import fetch_queue
from datasets.fetching.schedule import sweep_schedules
from datasets.fetching.schedule.due_times import back_off, jitter_of, lag_of, next_due
from datasets.models import Dataset, Fetch, Schedule, Series, WatchedSymbol
from tests.support.schedules import CRYPTO, SYDNEY, at, end_fetches, play, watched

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def closes_of(schedule: Schedule, opened: list[datetime]) -> list[str]:
    """Return the closes of the bars that were fetched at these instants."""
    lag = timedelta(milliseconds=lag_of(schedule))
    return [f"{each - lag:%m-%d %H:%M}" for each in opened]


def test_daily_bars_follow_the_clock_change_of_new_york() -> None:
    schedule = watched(begin=at("2026-10-29 00:00"))

    opened = play(at("2026-10-29 00:00"), at("2026-11-04 00:00"))

    # The first one is the catch-up of the day before.
    assert closes_of(schedule, opened[1:]) == [
        "10-29 20:00", "10-30 20:00", "11-02 21:00", "11-03 21:00",
    ]  # fmt: skip


def test_daily_bars_follow_the_clock_change_of_sydney() -> None:
    schedule = watched("ASX:BHP", facts=SYDNEY, begin=at("2026-10-01 00:00"))

    opened = play(at("2026-10-01 00:00"), at("2026-10-07 00:00"))

    assert closes_of(schedule, opened[1:]) == [
        "10-01 06:00", "10-02 06:00", "10-05 05:00", "10-06 05:00",
    ]  # fmt: skip


def test_a_holiday_has_no_fetch_and_a_half_day_an_early_one() -> None:
    schedule = watched(timeframe="1h", begin=at("2026-11-25 20:00"))

    opened = play(at("2026-11-25 20:00"), at("2026-11-30 15:00"))

    assert closes_of(schedule, opened[1:]) == [
        "11-25 20:30", "11-25 21:00", "11-27 15:30", "11-27 16:30", "11-27 17:30", "11-27 18:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "closes"),
    [
        ("1W", ["11-06 21:00", "11-13 21:00", "11-20 21:00", "11-27 18:00"]),
        ("1M", ["10-30 20:00"]),
    ],
)
def test_weeks_and_months_are_fetched_when_their_last_session_ends(
    timeframe: str, closes: list[str]
) -> None:
    begin = at("2026-10-26 00:00") if timeframe == "1M" else at("2026-11-02 00:00")
    schedule = watched(timeframe=timeframe, begin=begin)

    opened = play(begin, at("2026-11-30 00:00"))

    assert closes_of(schedule, opened[1:]) == closes


def test_a_market_that_never_closes_is_fetched_at_each_bar() -> None:
    schedule = watched("BINANCE:BTCUSDT", "4h", CRYPTO, begin=at("2026-11-28 00:10"))

    opened = play(at("2026-11-28 00:10"), at("2026-11-29 00:00"))

    assert closes_of(schedule, opened[1:]) == [
        "11-28 04:00", "11-28 08:00", "11-28 12:00", "11-28 16:00", "11-28 20:00",
    ]  # fmt: skip


def test_a_delayed_feed_is_fetched_that_much_later() -> None:
    live = watched("NYSE:A", "5", begin=at("2026-11-25 15:00"))
    delayed = watched("NYSE:B", "5", begin=at("2026-11-25 15:00"), delay_s=900, settle_s=30)

    assert lag_of(live) == 5_000 + int(jitter_of(live.series_key) * 60_000)
    assert lag_of(delayed) == 930_000 + int(jitter_of(delayed.series_key) * 60_000)
    opened = next_due(delayed, at("2026-11-25 15:00"))
    assert at("2026-11-25 15:00") < opened <= at("2026-11-25 15:05")
    assert (opened - timedelta(milliseconds=lag_of(delayed))).minute % 5 == 0


def test_the_jitter_of_a_series_is_always_the_same_and_bounded() -> None:
    minutes = [watched(f"NYSE:M{n}", "1", begin=at("2026-11-25 15:00")) for n in range(20)]
    days = [watched(f"NYSE:D{n}", "1D", begin=at("2026-11-25 15:00")) for n in range(20)]
    hours = watched("NYSE:H", "4h", begin=at("2026-11-25 15:00"))

    assert all(5_000 <= lag_of(each) < 17_000 for each in minutes)
    assert all(5_000 <= lag_of(each) < 5_000 + 2_700_000 for each in days)
    assert max(map(lag_of, days)) - min(map(lag_of, days)) > 1_200_000
    assert lag_of(hours) < 605_000
    assert lag_of(days[0]) == lag_of(Schedule.objects.get(pk=days[0].pk))


def test_an_outage_of_a_day_has_one_catch_up() -> None:
    watched("BINANCE:BTCUSDT", "5", CRYPTO, begin=at("2026-11-25 12:00"))

    opened = play(at("2026-11-26 12:01"), at("2026-11-26 12:14"))

    assert opened[0] == at("2026-11-26 12:01")
    assert len(opened) == 3


def test_a_bar_that_a_person_has_fetched_needs_no_call() -> None:
    schedule = watched("BINANCE:BTCUSDT", "1h", CRYPTO, begin=at("2026-11-25 12:30"))
    Series.objects.update(last_time=at("2026-11-25 12:00"), last_bar_final=False)

    assert sweep_schedules(at("2026-11-25 12:31")) == []
    schedule.refresh_from_db()
    assert schedule.due_at is not None
    assert at("2026-11-25 13:00") < schedule.due_at < at("2026-11-25 13:11")
    # The bar that was forming then has closed since.
    assert len(sweep_schedules(schedule.due_at)) == 1


def test_a_days_bar_that_is_late_is_fetched_again_after_doubled_pauses() -> None:
    schedule = watched(begin=at("2026-11-25 21:00"), settle_s=0)
    lag = timedelta(milliseconds=lag_of(schedule))
    close = at("2026-11-25 21:00")

    opened = play(close + lag, close + timedelta(hours=20), brings_bars=False)

    ages = [each - close for each in opened]
    assert ages[0] == lag
    assert all(after >= 1.99 * before for before, after in zip(ages, ages[1:], strict=False))
    assert timedelta(hours=3) < ages[-1] < timedelta(hours=6)
    schedule.refresh_from_db()
    assert schedule.due_at == at("2026-11-27 18:00") + lag


def test_a_scheduled_fetch_says_where_it_comes_from() -> None:
    schedule = watched(begin=at("2026-11-25 12:00"))

    fetch = sweep_schedules(at("2026-11-25 12:00"))[0]

    assert (fetch.requested_via, fetch.requested_by) == ("schedule", "")
    assert fetch.priority == Fetch.Priority.SCHEDULE
    assert fetch.key == schedule.key
    assert sweep_schedules(at("2026-11-25 22:00")) == []


def test_a_persons_fetch_of_the_same_bars_is_joined_and_raised() -> None:
    schedule = watched(begin=at("2026-11-25 12:00"))
    ours, _ = fetch_queue.open_fetch(schedule.key, via="page")

    assert sweep_schedules(at("2026-11-25 12:00")) == [ours]
    end_fetches(at("2026-11-25 12:01"))
    sweep_schedules(at("2026-11-25 12:01"))
    schedule.refresh_from_db()
    scheduled = sweep_schedules(schedule.due_at)[0]
    joined, is_new = fetch_queue.open_fetch(schedule.key, via="page")
    assert (joined, is_new) == (scheduled, False)
    scheduled.refresh_from_db()
    assert scheduled.priority == Fetch.Priority.PERSON


def test_failures_double_the_pause_up_to_a_day_and_a_success_ends_it() -> None:
    schedule = watched("BINANCE:BTCUSDT", "1h", CRYPTO, begin=at("2026-11-25 12:00"))
    failed = {
        "state": Fetch.State.FAILED, "error_code": "feed_timeout", "error_message": "Too slow.",
    }  # fmt: skip

    opened = play(at("2026-11-25 12:00"), at("2026-12-10 12:00"), **failed)

    pauses = [after - before for before, after in zip(opened, opened[1:], strict=False)]
    assert [round(one / pauses[0]) for one in pauses[:6]] == [1, 2, 4, 8, 16, 32]
    assert max(pauses) <= DAY
    assert back_off(schedule, 30_000) > 0.8 * DAY - timedelta(seconds=1)
    schedule.refresh_from_db()
    assert schedule.last_error == "feed_timeout: Too slow."
    assert schedule.failures == len(opened)
    assert not schedule.is_paused
    assert schedule.due_at is not None
    play(schedule.due_at, schedule.due_at + timedelta(minutes=1))
    schedule.refresh_from_db()
    assert (schedule.failures, schedule.last_error) == (0, "")
    assert schedule.last_ok_at is not None


def test_a_symbol_that_is_not_found_twice_pauses_its_series_and_its_list_says_why() -> None:
    schedule = watched(begin=at("2026-11-25 12:00"))
    failed = {
        "state": Fetch.State.FAILED,
        "error_code": SymbolNotFound.code,
        "error_message": "NASDAQ:AAPL is unknown.",
    }

    opened = play(at("2026-11-25 12:00"), at("2026-12-25 12:00"), **failed)

    schedule.refresh_from_db()
    assert len(opened) == 2
    assert schedule.is_paused
    assert "twice" in schedule.pause_reason
    assert WatchedSymbol.objects.get().problem == schedule.pause_reason
    watchlists.resume(watchlists.find_watchlist("NASDAQ:AAPL 1D"))
    play(at("2026-12-26 12:00"), at("2026-12-26 12:01"))
    assert WatchedSymbol.objects.get().problem == ""


def test_a_cancelled_fetch_is_no_failure() -> None:
    schedule = watched(begin=at("2026-11-25 12:00"))
    sweep_schedules(at("2026-11-25 12:00"))
    end_fetches(at("2026-11-25 12:01"), state=Fetch.State.CANCELLED)

    sweep_schedules(at("2026-11-25 12:01"))

    schedule.refresh_from_db()
    assert (schedule.failures, schedule.fetch) == (0, None)
    assert schedule.due_at == next_due(schedule, at("2026-11-25 12:01"))


def test_nothing_is_fetched_while_fetching_is_turned_off_or_paused(settings: Any) -> None:
    schedule = watched(begin=at("2026-11-25 12:00"))
    settings.TV_ENABLED = False
    assert sweep_schedules(at("2026-11-25 12:00")) == []

    settings.TV_ENABLED = True
    Schedule.objects.update(is_paused=True)
    assert sweep_schedules(at("2026-11-25 12:00")) == []
    settings.TV_SOURCE = "tradingview"
    Schedule.objects.update(is_paused=False)
    assert sweep_schedules(at("2026-11-25 12:00")) == []
    settings.TV_SOURCE = schedule.source
    assert len(sweep_schedules(at("2026-11-25 12:00"))) == 1


def test_a_full_queue_delays_the_schedule_and_loses_nothing(settings: Any) -> None:
    watched(begin=at("2026-11-25 12:00"))
    settings.MAX_QUEUED = 1
    watched("BINANCE:BTCUSDT", facts=CRYPTO, begin=at("2026-11-25 12:01"))

    assert len(sweep_schedules(at("2026-11-25 12:01"))) == 1
    assert sweep_schedules(at("2026-11-25 12:01")) == []
    end_fetches(at("2026-11-25 12:02"))
    assert len(sweep_schedules(at("2026-11-25 12:02"))) == 1


def test_scheduled_fetches_leave_room_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.fetching.schedule.schedule_sweep.MOST_QUEUED", 3)
    for number in range(5):
        watched(f"NYSE:S{number}", begin=at("2026-11-25 12:00"))

    assert len(sweep_schedules(at("2026-11-25 12:01"))) == 3
    assert sweep_schedules(at("2026-11-25 12:01")) == []
    end_fetches(at("2026-11-25 12:02"))
    assert len(sweep_schedules(at("2026-11-25 12:02"))) == 2


def test_a_pinned_dataset_stays_and_the_archive_gets_its_bars_beside_it(
    make_dataset: Callable[..., Dataset],
) -> None:
    schedule = watched("BINANCE:BTCUSDT", "1h", CRYPTO, begin=at("2026-11-25 12:00"))
    make_dataset(300)
    Dataset.objects.update(is_pinned=True)

    fetch = sweep_schedules(at("2026-11-25 12:00"))[0]

    assert fetch.n_bars == schedule.n_bars + 1


def test_unknown_hours_count_as_always_open() -> None:
    schedule = watched("NYSE:X", "1h", {}, begin=at("2026-11-28 12:00"))

    opened = play(at("2026-11-28 12:10"), at("2026-11-28 15:00"))

    assert closes_of(schedule, opened[1:]) == ["11-28 13:00", "11-28 14:00"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_sweep_at_once_open_one_fetch() -> None:
    for number in range(4):
        watched(f"NYSE:S{number}", begin=at("2026-11-25 12:00"))
    barrier, opened = threading.Barrier(2), list[Fetch]()

    def sweep() -> None:
        barrier.wait(20)
        opened.extend(sweep_schedules(at("2026-11-25 12:00")))
        connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(opened) == Fetch.objects.count() == 4
