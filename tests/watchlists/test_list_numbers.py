"""The list of watchlists: the numbers of all lists come from queries whose number is fixed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets import watchlists
from datasets.models import Schedule, Series, Watchlist
from datasets.watchlists.budget import needs_of
from datasets.watchlists.list_numbers import numbers_of, states_of_lists

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 1, 19, 12, 30, tzinfo=UTC)
HOURS = {"timezone": "America/New_York", "session_hours": "0930-1600"}


def a_list(name: str, symbols: list[str], *timeframes: str, session: str = "regular") -> Watchlist:
    made = watchlists.create_watchlist(name, timeframes=timeframes, session=session)
    watchlists.add_symbols(made, watchlists.read_symbols("\n".join(symbols)))
    return made


def archive(schedule: Schedule) -> None:
    """Give the schedule a series with bars."""
    schedule.series = Series.objects.create(
        **schedule.series_key.as_dict(), sequence=1, n_rows=1, bytes=1, first_time=NOW, last_time=NOW,
        last_bar_final=True, fetched_at=NOW, instrument=HOURS,
    )  # fmt: skip
    schedule.save()


def test_the_numbers_are_those_of_each_list_alone() -> None:
    lists = [
        a_list("stocks", ["NASDAQ:AAPL", "NASDAQ:MSFT", "LSE:SHEL"], "5", "1D"),
        a_list("others", ["NASDAQ:AAPL", "BINANCE:BTCUSDT", "OANDA:EURUSD"], "1D", "1W"),
        a_list("evenings", ["NASDAQ:AAPL"], "1D", session="extended"),
        watchlists.create_watchlist("empty", timeframes=["1h"]),
    ]
    for schedule in Schedule.objects.filter(exchange="NASDAQ"):
        archive(schedule)
    for place, schedule in enumerate(Schedule.objects.order_by("pk")):
        Schedule.objects.filter(pk=schedule.pk).update(
            due_at=None if place % 5 == 4 else NOW + timedelta(hours=20 - place), is_paused=place % 4 == 0
        )  # fmt: skip

    numbers, states = numbers_of(lists), states_of_lists(lists, NOW)

    for each in lists:
        schedules, found = watchlists.schedules_of(each), numbers[each.pk]
        due = [row.due_at for row in schedules if row.due_at and not row.is_paused]
        assert found.n_symbols == each.symbols.count()
        assert found.n_series == schedules.count()
        assert found.next_run_at == min(due, default=None)
        assert found.needs.needs == needs_of(schedules)
        alone = Counter(watchlists.states_of(each, NOW))
        assert Counter(states.get(each.pk, [])) == alone
    assert [numbers[each.pk].n_series for each in lists] == [6, 6, 1, 0]
    assert numbers_of([]) == {}


def test_the_queries_of_the_page_do_not_grow_with_the_lists(client: Client) -> None:
    def n_queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/watchlists/").status_code == 200
        return len(captured)

    a_list("list 0", ["NASDAQ:AAPL", "NASDAQ:MSFT"], "1D")
    n_queries()
    before = n_queries()
    for number in range(1, 8):
        a_list(f"list {number}", ["NASDAQ:AAPL", f"NASDAQ:S{number}"], "1D", "1W")
    for schedule in Schedule.objects.filter(symbol="AAPL"):
        archive(schedule)

    assert n_queries() <= before
