"""Part 11: a month of schedules in minutes: 300 series over six exchanges, on a clock that is held.

Only the clock is mocked: the worker's sweep, queue, throttle and fetches are real, and
tvDatafeed fetches over the socket of the sample feed. `MONTH_DAYS=8` measures the first days.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.fetching import prepare
from benchmarks.measurement import machine, publish, table
from tests.support.stacks import Feed

RATE = 20


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        feed = Feed(folder)
        try:
            prepare(folder / "outputs", feed)
            simulate(feed)
        finally:
            feed.stop()


def simulate(feed: Feed) -> None:
    # Imported here: these modules need Django.
    from django.conf import settings

    from datasets.fetching import feed_clients
    from tests.support.simulation.held_clock import held_clock
    from tests.support.simulation.month_plan import N_DAYS, month_plan
    from tests.support.simulation.schedules import ScheduledMonth, held_throttle
    from tests.support.simulation.sent_bars import sent_bars

    logging.disable(logging.WARNING)
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST, settings.TV_MAX_BARS = RATE, 3, 5000
    plan = month_plan(int(os.environ.get("MONTH_DAYS", N_DAYS)))
    started = time.perf_counter()
    with held_clock(feed, plan.start) as clock, held_throttle(clock), sent_bars() as sent:
        month = ScheduledMonth(plan, feed, clock)
        month.make_lists()
        month.run()
        feed_clients.feed_client().close()
        seconds = time.perf_counter() - started
        text = report(month, sent, seconds)
    publish("Schedule", f"{machine()}\n\n{text}")


def report(month, sent, seconds: float) -> str:  # type: ignore[no-untyped-def]
    """Return the calls, the waits of people and the bars."""
    from datasets.models import Fetch, Schedule
    from tests.support.simulation.schedules import month_of, most_calls_a_minute

    plan, clock = month.plan, month.clock
    calls = [at for at, _ in clock.calls]
    found = {each: month_of(each, plan, sent, clock.now) for each in Schedule.objects.all()}
    for schedule, each in found.items():
        if each.missing or each.n_behind or each.n_needless:
            print(schedule, each)
    waits = sorted(click.wait_s for click in month.clicks if not click.was_cooling)
    by_day = Counter(at.date() for at in calls)
    n_clicked = len(month.clicks)
    n_failed = Fetch.objects.filter(state=Fetch.State.FAILED).count()
    rows = [
        ["series, exchanges, days", f"{len(found)}, {len({each.exchange for each in found})}, {(plan.end - plan.start).days}"],
        ["calls, of them for clicks, refused by the feed", f"{len(calls):,}, {n_clicked}, {month.n_refused}"],
        ["most calls in any 60 s, allowed", f"{most_calls_a_minute(calls)}, {RATE}"],
        ["most calls on one day, allowed", f"{max(by_day.values()):,}, {RATE * 1440:,}"],
        ["**bars missing between the ends, not fetched at the end**", f"{sum(each.missing for each in found.values())}, {sum(each.n_behind for each in found.values())}"],
        ["**calls of the schedule that brought no newly closed bar**", f"{sum(each.n_needless for each in found.values())} of {sum(each.n_calls for each in found.values()):,}"],
        ["clicks, of them during a cool-down", f"{n_clicked}, {n_clicked - len(waits)}"],
        ["wait from a click to its call, s: median, longest", f"{waits[len(waits) // 2]:.1f}, {waits[-1]:.1f}"],
        ["fetches that failed at last", f"{n_failed}"],
        ["time of the whole simulation, s", f"{seconds:.0f}"],
    ]  # fmt: skip
    return table(["a month of schedules on a held clock", ""], rows)


if __name__ == "__main__":
    main()
