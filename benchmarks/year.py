"""Part 9: a year of refreshes of 50 series through the real path, and the proof that nothing was lost.

Only the clock is mocked: tvDatafeed fetches over the socket of the sample feed, which splits,
revises and goes away. `YEAR_DAYS=60` measures the first 60 days.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.fetching import prepare
from benchmarks.measurement import machine, publish, table
from tests.support.stacks import Feed


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Imported later: the plan's modules need Django.
        feed = Feed(folder, "--plan-window", "500")
        try:
            os.environ["LOG_LEVEL"] = "ERROR"
            prepare(folder / "outputs", feed)
            simulate(feed)
        finally:
            feed.stop()


def simulate(feed: Feed) -> None:
    from django.conf import settings

    from datasets.fetching import feed_clients
    from tests.support.simulation.held_clock import held_clock
    from tests.support.simulation.refresh_plan import instant
    from tests.support.simulation.refreshes import Refreshes
    from tests.support.simulation.sent_bars import sent_bars
    from tests.support.simulation.year_plan import N_DAYS, year_plan

    logging.disable(logging.WARNING)
    plan = year_plan(int(os.environ.get("YEAR_DAYS", N_DAYS)))
    settings.TV_MAX_BARS = plan.window
    started = time.perf_counter()
    with (
        held_clock(feed, instant(plan.start - timedelta(days=1), 12)) as clock,
        sent_bars() as sent,
    ):
        refreshes = Refreshes(plan, feed, clock, sent)
        refreshes.run()
    feed_clients.feed_client().close()
    publish("Year", f"{machine()}\n\n{report(refreshes, sent, time.perf_counter() - started)}")


def report(refreshes, sent, seconds: float) -> str:  # type: ignore[no-untyped-def]
    """Return what the feed did, what the service found, and what the proofs say."""
    from tests.support.simulation.proofs import (
        findings,
        held_bars,
        lost_bars,
        wrong_holes,
        wrong_steps,
    )

    all_series, plan = refreshes.series, refreshes.plan
    held = [held_bars(each) for each in all_series]
    wrong = [
        line
        for each in all_series
        for line in (*wrong_steps(each), *wrong_holes(each), *each.mixed)
    ]
    print(*wrong, sep="\n")
    n_sent = sum(map(len, sent.final.values()))
    found = findings(all_series)
    rows = [
        ["series, days", f"{len(all_series)}, {plan.n_days}"],
        ["fetches that the feed answered, that failed in an outage", f"{sent.n_calls:,}, {sum(each.n_failed for each in all_series):,}"],
        ["bars sent, of them different final ones", f"{sent.n_bars:,}, {n_sent:,}"],
        ["**final bars that are neither in the archive nor in what left it**", f"{sum(lost_bars(each, sent) for each in all_series)}"],
        ["splits, dividends and rolls between two answers, found with another step or not at all", f"{sum(len(each.expected_steps) for each in all_series)}, {sum(len(wrong_steps(each)) for each in all_series)}"],
        ["bars older than the feed's window, of them rescaled", f"{sum(each.n_older for each in held):,}, {sum(each.n_rescaled for each in held):,}"],
        ["largest error of a rescaled price beside the feed's own", f"{max(each.largest_error for each in held):.1e}"],
        ["answers looked at (archive and datasets after each fetch), with two bases", f"{sum(each.n_answers for each in all_series):,}, {sum(len(each.mixed) for each in all_series)}"],
        ["outages longer than the window, not recorded as `window_slid` with their ends", f"{sum(len(each.expected_holes) for each in all_series)}, {sum(len(wrong_holes(each)) for each in all_series)}"],
        ["bars held at the end", f"{sum(each.n_held for each in held):,}"],
        ["of them with values that the feed no longer gives, at times without a bar of the feed", f"{sum(each.wrong for each in held)}, {sum(each.strange for each in held)}"],
        ["bars of the feed that are missing between the ends, outside the holes", f"{sum(each.missing for each in held)}"],
        ["findings: " + ", ".join(sorted(found)), ", ".join(f"{found[name]:,}" for name in sorted(found))],
        ["time of the whole simulation, s", f"{seconds:.0f}"],
    ]  # fmt: skip
    for each, bars in zip(all_series, held, strict=True):
        if bars.missing or bars.strange or bars.wrong or lost_bars(each, sent):
            print(each.key, bars, lost_bars(each, sent))
    return table(["a year of refreshes over the socket, with a held clock", ""], rows)


if __name__ == "__main__":
    main()
