"""New series get their whole first window, one after another, while nothing more urgent waits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from datasets import watchlists
from datasets.fetching import fetch_queue
from datasets.fetching.schedule import sweep_schedules
from datasets.fetching.schedule.due_times import next_due
from datasets.models import Fetch, Schedule, Watchlist
from tests.support.factories import a_key
from tests.support.schedules import CRYPTO, at, end_fetches, watched

pytestmark = pytest.mark.django_db

NOW = at("2100-01-04 12:00")


@pytest.fixture
def watchlist() -> Watchlist:
    made = watchlists.create_watchlist("new", timeframes=["1h", "1D"], first_bars=700)
    watchlists.add_symbols(made, watchlists.read_symbols("NYSE:A,NYSE:B"))
    return made


def filled() -> int:
    return Schedule.objects.exclude(backfilled_at=None).count()


def run(now: datetime, n_sweeps: int) -> list[Fetch]:
    opened = []
    for number in range(n_sweeps):
        opened += sweep_schedules(now + timedelta(seconds=number))
        end_fetches(now)
    return opened


def test_a_backfill_fetches_each_whole_window_once_and_two_at_a_time(watchlist: Watchlist) -> None:
    first = sweep_schedules(NOW)
    assert sweep_schedules(NOW) == []
    end_fetches(NOW)
    others = run(NOW, 4)

    assert (len(first), len(others), filled()) == (2, 2, 4)
    fetches = Fetch.objects.all()
    assert {(each.n_bars, each.priority, each.requested_via) for each in fetches} == {
        (700, Fetch.Priority.BACKFILL, "schedule")
    }
    assert len({each.key for each in fetches}) == 4


def test_a_filled_series_is_fetched_at_its_next_close(watchlist: Watchlist) -> None:
    run(NOW, 3)

    for schedule in Schedule.objects.all():
        assert schedule.due_at is not None
        assert schedule.due_at > NOW
        assert abs(schedule.due_at - next_due(schedule, NOW)) < timedelta(hours=2)


def test_a_backfill_waits_while_a_person_or_the_schedule_waits(watchlist: Watchlist) -> None:
    fetch, _ = fetch_queue.open_fetch(a_key(), via="page")
    assert sweep_schedules(NOW) == []

    fetch_queue.cancel(fetch)
    watched("BINANCE:BTCUSDT", "1h", CRYPTO, begin=NOW)
    assert [each.priority for each in sweep_schedules(NOW)] == [Fetch.Priority.SCHEDULE]

    # A fetch that waits for its next attempt could not begin now anyway.
    Fetch.objects.update(next_attempt_at=NOW + timedelta(minutes=1))
    assert len(sweep_schedules(NOW)) == 2


def test_a_stopped_backfill_continues_where_it_was(watchlist: Watchlist) -> None:
    run(NOW, 2)
    n_filled = filled()
    watchlists.pause(watchlist)
    assert run(NOW, 2) == []

    watchlists.resume(watchlist)
    run(NOW, 4)

    assert 0 < n_filled < 4
    assert filled() == Fetch.objects.count() == 4


def test_a_step_that_fails_comes_back_after_a_pause(watchlist: Watchlist) -> None:
    failed: dict[str, Any] = {
        "state": Fetch.State.FAILED, "error_code": "feed_timeout", "error_message": "Slow.",
    }  # fmt: skip
    watchlists.remove_symbols(watchlist, watchlists.read_symbols("NYSE:B"))
    sweep_schedules(NOW)
    end_fetches(NOW, **failed)

    assert run(NOW + timedelta(seconds=1), 2) == []
    assert set(Schedule.objects.values_list("failures", flat=True)) == {1}
    run(NOW + timedelta(minutes=3), 2)
    assert filled() == 2


def test_a_deeper_first_window_that_came_meanwhile_is_fetched_too(watchlist: Watchlist) -> None:
    watchlists.change_watchlist(watchlist, timeframes=["1D"])
    sweep_schedules(NOW)
    watchlists.change_watchlist(watchlist, first_bars=900)
    end_fetches(NOW)

    run(NOW, 3)

    assert filled() == 2
    assert sorted(Fetch.objects.values_list("n_bars", flat=True)) == [700, 700, 900, 900]
