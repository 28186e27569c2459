"""Freshness of a series: its state, its instants, and the reason in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from datasets.models import Schedule, Series
from datasets.watchlists.freshness import FreshnessState, series_freshness

pytestmark = pytest.mark.django_db
MakeSeries = Callable[..., Series]
NEW_YORK = {
    "type": "stock", "timezone": "America/New_York", "session_hours": "0930-1600",
    "session_holidays": "20250101,20250120",
}  # fmt: skip
# A Friday's last hour, fetched after its close.
FRIDAY = datetime(2025, 1, 3, 20, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def make_series() -> MakeSeries:
    """Return a function that adds a series of hours whose last bar is that of Friday's close."""

    def make(**changes: Any) -> Series:
        values: dict[str, Any] = {
            "source": "sample", "exchange": "NASDAQ", "symbol": "AAPL", "timeframe": "1h",
            "sequence": 1, "n_rows": 100, "bytes": 1, "first_time": at("2024-12-02T14:30"),
            "last_time": FRIDAY, "last_bar_final": True, "fetched_at": at("2025-01-03T21:00:20"),
            "instrument": NEW_YORK,
        }  # fmt: skip
        return Series.objects.create(**values | changes)

    return make


def schedule_of(series: Series, **changes: Any) -> Schedule:
    return Schedule.objects.create(
        **series.series_key.dataset(5000).as_dict(), series=series, **changes
    )


@pytest.mark.parametrize(
    ("now", "state", "lag_bars"),
    [
        ("2025-01-03T21:30", FreshnessState.CLOSED, 0),
        ("2025-01-06T15:29", FreshnessState.CURRENT, 0),
        ("2025-01-06T15:30", FreshnessState.BEHIND, 1),
        # Behind comes before closed: at night the bars of the day are missing all the same.
        ("2025-01-07T02:00", FreshnessState.BEHIND, 7),
    ],
)
def test_a_series_without_a_watchlist_is_judged_by_its_calendar(
    make_series: MakeSeries, now: str, state: FreshnessState, lag_bars: int
) -> None:
    found = series_freshness(make_series(), at(now))

    assert (found.state, found.lag_bars) == (state, lag_bars)
    assert found.held_through == at("2025-01-03T21:00")
    assert found.complete_until == at("2025-01-06T15:30")
    assert found.next_run_at is None
    assert "No watchlist has the series" in found.reason


def test_the_reason_says_how_far_behind_the_bars_are_and_when_the_next_fetch_comes(
    make_series: MakeSeries,
) -> None:
    series = make_series()
    schedule_of(series, due_at=at("2025-01-06T21:00:09"))

    found = series_freshness(series, at("2025-01-06T20:59"))

    assert found.reason == (
        "6 bars have closed since 2025-01-03 21:00 UTC, up to 2025-01-06 20:30 UTC, and not been fetched. "
        "The next fetch is due at 2025-01-06 21:00 UTC."
    )
    assert found.next_run_at == at("2025-01-06T21:00:09")
    assert found.expected_through == at("2025-01-06T20:30")


def test_a_closed_market_says_until_when(make_series: MakeSeries) -> None:
    found = series_freshness(make_series(), at("2025-01-04T12:00"))

    assert found.state is FreshnessState.CLOSED
    assert found.opens_at == at("2025-01-06T14:30")
    assert "The market is closed until 2025-01-06 14:30 UTC." in found.reason


def test_a_failed_schedule_fails_only_while_bars_are_missing(make_series: MakeSeries) -> None:
    series = make_series()
    schedule_of(series, failures=2, last_error="rate_limited: Too many calls.")

    behind, complete = (
        series_freshness(series, at(now)) for now in ("2025-01-06T16:00", "2025-01-06T15:00")
    )

    assert (behind.state, complete.state) == (FreshnessState.FAILING, FreshnessState.CURRENT)
    assert "failed 2 times in a row: rate_limited: Too many calls." in behind.reason


def test_a_paused_schedule_says_why_and_plans_no_fetch(make_series: MakeSeries) -> None:
    series = make_series()
    schedule_of(
        series, is_paused=True, pause_reason="TradingView has no such symbol.", due_at=FRIDAY
    )

    found = series_freshness(series, at("2025-01-06T16:00"))

    assert (found.state, found.next_run_at) == (FreshnessState.PAUSED, None)
    assert "paused: TradingView has no such symbol." in found.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instrument": {}}, "The feed sent no trading hours."),
        ({"instrument": NEW_YORK | {"session_hours": "?"}}, "in no known form"),
        ({"source": "imported"}, "came from a file"),
    ],
)
def test_no_lag_is_invented_where_the_hours_are_not_known(
    make_series: MakeSeries, changes: dict[str, Any], words: str
) -> None:
    found = series_freshness(make_series(**changes), at("2025-02-06T16:00"))

    assert found.state is FreshnessState.UNKNOWN
    assert (found.lag_bars, found.expected_through, found.held_through) == (None, None, None)
    assert words in found.reason


def test_a_delayed_feed_is_given_its_delay(make_series: MakeSeries) -> None:
    series = make_series(instrument=NEW_YORK | {"delay_s": 900})

    before, after = (
        series_freshness(series, at(now)) for now in ("2025-01-06T15:44", "2025-01-06T15:45")
    )

    assert (before.lag_bars, after.lag_bars) == (0, 1)
    assert after.complete_until == at("2025-01-06T15:45")
