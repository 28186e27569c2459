"""Alerts on forming bars: every price counts once, as soon as it is known, at the latest with the closed bar."""

from __future__ import annotations

from typing import Any

import pytest

from datasets import alerts
from datasets.live.watched_series import watch_alerted, watched_series
from datasets.models import LiveSeries, PriceAlert, Schedule
from tests.alerts.conftest import BEGIN, HOUR, Hours, MakeAlert

pytestmark = pytest.mark.django_db
Prices = tuple[float, float, float, float]


def check(hours: Hours, bars: dict[int, Prices]) -> int:
    """Check live bars: open, high, low and close by the hour."""
    begin = BEGIN.timestamp()
    rows = [(begin + 3600 * hour, *bars[hour], None) for hour in sorted(bars)]
    return alerts.check_forming({hours.arrivals.series.pk: rows})


def test_the_price_of_the_forming_bar_triggers_once_a_bar(
    hours: Hours, make_alert: MakeAlert
) -> None:
    alert = make_alert(bars="forming", repeats=True)
    # Hour 2 was half over when the alert was made, so its high may be older than the alert.
    assert check(hours, {1: (100, 150, 99, 100), 2: (100, 150, 99, 109)}) == 0
    assert check(hours, {2: (100, 150, 99, 111)}) == 1
    assert check(hours, {2: (100, 150, 99, 112)}) == 0
    # A peak between two updates is in the high of the bar.
    assert check(hours, {2: (100, 150, 99, 108), 3: (108, 115, 99, 100)}) == 1
    found = PriceAlert.objects.get(pk=alert.pk)
    assert (found.triggered_bar, found.triggered_price) == (BEGIN + 3 * HOUR, 115.0)

    # The closed bars bring nothing new; one that no update has brought does.
    hours.arrive({2: 112.0, 3: 115.0, 4: 105.0}, up=6)
    assert alerts.check_closed() == 1
    assert PriceAlert.objects.get(pk=alert.pk).triggered_bar == BEGIN + 4 * HOUR


def test_a_crossing_is_seen_from_the_price_at_the_alert(
    hours: Hours, make_alert: MakeAlert
) -> None:
    make_alert(bars="forming", condition="crosses", price=100.5)
    assert check(hours, {1: (102, 103, 101, 102), 2: (101, 104, 99, 100.4)}) == 0
    assert check(hours, {2: (101, 104, 99, 100.5)}) == 1


def test_an_alert_on_closed_bars_ignores_the_forming_one(
    hours: Hours, make_alert: MakeAlert
) -> None:
    make_alert()
    assert check(hours, {2: (100, 150, 99, 150), 3: (150, 150, 150, 150)}) == 0


def test_the_live_connection_receives_the_series_of_active_alerts(
    hours: Hours, make_alert: MakeAlert, settings: Any
) -> None:
    series = hours.arrivals.series
    watch_alerted()
    assert watched_series("") == []

    closed = make_alert()
    watch_alerted()
    assert [live.series_id for live in watched_series("")] == [series.pk]

    # A watchlist that fetches each closed bar is enough for an alert on closed bars.
    LiveSeries.objects.all().delete()
    Schedule.objects.create(**hours.arrivals.key.as_dict(), n_bars=300, series=series)
    watch_alerted()
    assert watched_series("") == []
    alerts.change_alert(closed, bars="forming", by="test")
    watch_alerted()
    assert [live.series_id for live in watched_series("")] == [series.pk]

    LiveSeries.objects.all().delete()
    alerts.change_alert(closed, state="paused", by="test")
    watch_alerted()
    assert watched_series("") == []
