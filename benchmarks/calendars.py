"""Part 6: calendars: parsing, close times, the gap report, and a comparison with exchange_calendars."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.measurement import machine, publish, table
from datasets.bars import BarLength
from datasets.calendars import Calendar, Clock, close_instants, expected_bars, find_gaps
from datasets.calendars.opinions import MARKETS
from tests.support.library_calendars import compare

START, YEAR_MS = 946_684_800_000, 365 * 86_400_000  # 2000-01-01
HOLIDAYS = ",".join(
    f"{year}{day}" for year in range(2000, 2028) for day in ("0101", "0704", "1225")
)
CORRECTIONS = "0930-1300:20190703,20191129,20241224;dayoff:20250109"
GOALS = {
    "parse 25 years of sessions": 50,
    "close_times of 5,000 bars": 1,
    "gap report of 1,000,000 minute bars": 150,
}


def runs() -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    calendar = Calendar("0930-1600", "America/New_York", "", HOLIDAYS, CORRECTIONS)
    minute, hour = BarLength(1, "m"), BarLength(60, "m")
    minutes = expected_bars(calendar, minute, START, START + 12 * YEAR_MS).opens
    has_trade = np.random.default_rng(7).random(len(minutes)) < 0.97
    minutes = minutes[has_trade][:1_000_000]
    hours = expected_bars(calendar, hour, START, START + 10 * YEAR_MS).opens[-5_000:]
    number = iter(range(10**6))

    def parse() -> object:
        # Another content each time: a calendar that was parsed before is not parsed again.
        fresh = Calendar(
            "0930-1600", "America/New_York", "", f"{HOLIDAYS},{next(number)}", CORRECTIONS
        )
        return fresh.sessions(START, START + 25 * YEAR_MS)

    return {
        "parse 25 years of sessions": parse,
        "close_times of 5,000 bars": lambda: close_instants(hours, Clock("1h", calendar)),
        "gap report of 1,000,000 minute bars": lambda: find_gaps(minutes, calendar, minute),
    }


def cpu_ms(run: Callable[[], object]) -> float:
    """Return the median of the processor's time for a run in ms; other programs do not count."""
    taken = []
    for _ in range(17):
        started = time.process_time()
        run()
        taken.append((time.process_time() - started) * 1000)
    return statistics.median(taken[2:])


def main() -> None:
    rows = [[name, f"{cpu_ms(run):.2f}", str(GOALS[name])] for name, run in runs().items()]
    compared = [compare(market) for market in sorted(set(MARKETS.values()))]
    n_cells = sum(one.n_cells for one in compared)
    differing = [one for one in compared if one.n_differing]
    said = f"{n_cells:,} cells (openings and closes of {len(compared)} markets, up to 20 years), {sum(one.n_differing for one in compared)} differing"
    details = [
        f"- {one.market}: {one.n_differing}, first {one.first_difference}" for one in differing
    ]
    publish(
        "Calendars",
        "\n\n".join(
            [
                machine(),
                table(["", "ms of the processor, median of 15", "goal, ms"], rows),
                f"Sessions of `exchange_calendars`, written as the feed's texts and read again: {said}.",
                "\n".join(details),
            ]
        ).strip(),
    )


if __name__ == "__main__":
    main()
