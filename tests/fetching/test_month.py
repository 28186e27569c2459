"""Watchlists over many days on a clock that is held: calls, waits and bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from datasets.fetching import feed_clients, throttle
from datasets.models import Schedule
from tests.support.simulation.held_clock import held_clock
from tests.support.simulation.month_plan import MonthPlan, month_plan
from tests.support.simulation.schedules import (
    ScheduledMonth,
    SeriesMonth,
    held_throttle,
    month_of,
    most_calls_a_minute,
)
from tests.support.simulation.sent_bars import sent_bars
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db(transaction=True)

# The call in progress when somebody clicks.
CALL_S = 0.5


@pytest.fixture(autouse=True)
def use_feed(settings: Any, clean_feed: Feed, tmp_path: Any) -> Iterator[None]:
    settings.TV_WS_URL, settings.TV_MAX_BARS = clean_feed.ws_url, 5000
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST, settings.STATE_DIR = 20, 3, tmp_path
    feed_clients._client_of.cache_clear()
    yield
    feed_clients.feed_client().close()


def require_good(plan: MonthPlan, feed: Feed) -> list[SeriesMonth]:
    """Run the plan; fail for a missing bar, a call too many, a needless call or a late click."""
    with held_clock(feed, plan.start) as clock, held_throttle(clock), sent_bars() as sent:
        month = ScheduledMonth(plan, feed, clock)
        month.make_lists()
        month.run()
        found = [month_of(each, plan, sent, clock.now) for each in Schedule.objects.all()]
    assert most_calls_a_minute([at for at, _ in clock.calls]) <= 20
    assert month.n_refused == len(plan.refusals)
    assert len(month.clicks) == len(plan.clicks)
    waits = [click.wait_s for click in month.clicks if not click.was_cooling]
    # Some clicks meet the first fetches of all series, which use all calls.
    assert max(waits) <= throttle.spacing_ms() / 1000 + CALL_S + 1
    assert sum(each.missing + each.n_behind for each in found) == 0
    assert sum(each.n_needless for each in found) == 0
    return found


def test_four_days_with_an_outage_need_few_calls_and_miss_no_bar(clean_feed: Feed) -> None:
    found = require_good(month_plan(4, every=24, n_invented=1), clean_feed)

    assert len(found) > 10


@pytest.mark.slow
def test_a_month_with_two_clock_changes_needs_few_calls_and_misses_no_bar(clean_feed: Feed) -> None:
    found = require_good(month_plan(32, every=12, n_invented=2), clean_feed)

    assert len(found) > 20
