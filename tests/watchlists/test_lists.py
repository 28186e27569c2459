"""Watchlists and the schedules of their series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from datasets import watchlists
from datasets.errors import InvalidRequest, NotFound
from datasets.models import Schedule, Series, WatchedSymbol, Watchlist
from datasets.watchlists import list_changes
from tests.support.archives import plain_bars
from tests.support.arrivals import Arrivals

pytestmark = pytest.mark.django_db


def make(
    name: str = "mine", text: str = "NASDAQ:AAPL\nBINANCE:BTCUSDT", **values: Any
) -> Watchlist:
    made = watchlists.create_watchlist(name, **values)
    watchlists.add_symbols(made, watchlists.read_symbols(text))
    return made


def scheduled() -> list[str]:
    return sorted(str(each) for each in Schedule.objects.all())


def test_each_symbol_at_each_timeframe_has_one_schedule() -> None:
    made = make(timeframes=["60", "D", "1d", "1M", "1m"], first_bars=400)

    assert made.timeframes == ["1", "1h", "1D", "1M"]
    assert len(scheduled()) == 8
    assert set(Schedule.objects.values_list("n_bars", "source")) == {(400, "sample")}
    assert [str(key) for key in watchlists.keys_of(made, made.symbols.all())][:2] == [
        "NASDAQ:AAPL 1m",
        "NASDAQ:AAPL 1h",
    ]


def test_a_series_of_two_lists_has_one_schedule_with_the_most_bars_and_the_shortest_wait() -> None:
    make(first_bars=400, settle_s=60)
    other = make("other", "NASDAQ:AAPL", first_bars=900, settle_s=5)

    schedule = Schedule.objects.get(symbol="AAPL")
    assert (schedule.n_bars, schedule.settle_s) == (900, 5)
    assert [each.name for each in watchlists.watchlists_of([schedule])] == ["mine", "other"]
    watchlists.delete_watchlist(other)
    assert Schedule.objects.get(symbol="AAPL").n_bars == 400


def test_schedules_end_with_their_symbols_and_lists() -> None:
    made = make()

    assert watchlists.remove_symbols(made, watchlists.read_symbols("NASDAQ:AAPL")) == 1
    assert scheduled() == ["BINANCE:BTCUSDT 1D"]
    watchlists.change_watchlist(made, timeframes=["4h"])
    assert scheduled() == ["BINANCE:BTCUSDT 4h"]
    watchlists.change_watchlist(made, session="extended")
    assert Schedule.objects.get().session == "extended"
    watchlists.delete_watchlist(made)
    assert scheduled() == []


def test_an_unchanged_list_keeps_the_state_of_its_schedules() -> None:
    make()
    Schedule.objects.update(failures=3, due_at=None)

    watchlists.update_schedules()

    assert set(Schedule.objects.values_list("failures", "due_at")) == {(3, None)}


def test_more_first_bars_begin_a_new_backfill_and_fewer_do_not() -> None:
    made = make(first_bars=400)
    Schedule.objects.update(backfilled_at="2026-01-01T00:00Z", due_at=None)

    watchlists.change_watchlist(made, first_bars=300)
    assert not Schedule.objects.filter(backfilled_at=None).exists()
    watchlists.change_watchlist(made, first_bars=500)
    assert Schedule.objects.filter(backfilled_at=None, due_at__isnull=False).count() == 2


def test_a_series_that_is_archived_deep_enough_needs_no_backfill() -> None:
    Arrivals(symbol="BTCUSDT", exchange="BINANCE").arrive(plain_bars(range(300)))

    made = make("crypto", "BINANCE:BTCUSDT", timeframes=["1h"], first_bars=300)

    schedule = Schedule.objects.get()
    assert schedule.series == Series.objects.get()
    assert schedule.backfilled_at is not None
    assert watchlists.schedules_of(made).get() == schedule


def test_a_paused_list_pauses_its_own_series_only() -> None:
    made = make()
    make("other", "NASDAQ:AAPL")

    watchlists.pause(made)
    assert list(Schedule.objects.filter(is_paused=True).values_list("symbol", flat=True)) == [
        "BTCUSDT"
    ]
    assert "paused" in Schedule.objects.get(is_paused=True).pause_reason
    watchlists.resume(made)
    assert not Schedule.objects.filter(is_paused=True).exists()


def test_a_series_that_was_paused_after_failures_is_resumed_with_its_list_only() -> None:
    made = make()
    Schedule.objects.filter(symbol="AAPL").update(is_paused=True, pause_reason="gone", failures=2)

    watchlists.change_watchlist(made, settle_s=9)
    assert Schedule.objects.get(is_paused=True).pause_reason == "gone"
    watchlists.resume(made)
    assert set(Schedule.objects.values_list("is_paused", "pause_reason", "failures")) == {
        (False, "", 0)
    }


def test_a_symbol_is_added_once_and_behind_the_others() -> None:
    made = make()

    new = watchlists.add_symbols(made, watchlists.read_symbols("NASDAQ:AAPL,NYSE:IBM"))

    assert [str(each) for each in new] == ["NYSE:IBM"]
    assert [str(each) for each in made.symbols.all()] == [
        "NASDAQ:AAPL",
        "BINANCE:BTCUSDT",
        "NYSE:IBM",
    ]


def test_an_unknown_symbol_is_not_removed_and_nothing_else_is() -> None:
    made = make()

    with pytest.raises(InvalidRequest, match="NYSE:IBM is not in the list 'mine'"):
        watchlists.remove_symbols(made, watchlists.read_symbols("NASDAQ:AAPL,NYSE:IBM"))

    assert made.symbols.count() == 2


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_changes, "MOST_SYMBOLS", 2)

    with pytest.raises(InvalidRequest, match="would have 3 symbols"):
        make(text="NYSE:A,NYSE:B,NYSE:C")

    assert not WatchedSymbol.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"timeframes": []}, "timeframes"),
        ({"timeframes": "2D"}, "timeframes"),
        ({"session": "night"}, "session"),
        ({"adjustment": 3}, "adjustment"),
        ({"first_bars": 0}, "first_bars"),
        ({"first_bars": 10**7}, "first_bars"),
        ({"settle_s": True}, "settle_s"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        watchlists.create_watchlist(**({"name": "mine"} | values))

    assert list(caught.value.errors) == [field]
    assert not Watchlist.objects.exists()


def test_a_name_is_taken_once_and_an_unknown_one_lists_the_others() -> None:
    make()

    with pytest.raises(InvalidRequest, match="has the name 'mine'"):
        watchlists.create_watchlist(" mine ")
    with pytest.raises(NotFound, match="The watchlists are: mine"):
        watchlists.find_watchlist("yours")
    assert watchlists.find_watchlist("mine ").name == "mine"


def test_schedules_of_another_source_stay(make_dataset: Callable[..., Any], settings: Any) -> None:
    make()
    settings.TV_SOURCE = "tradingview"

    watchlists.update_schedules()

    assert (
        sorted(Schedule.objects.values_list("source", flat=True))
        == ["sample"] * 2 + ["tradingview"] * 2
    )
