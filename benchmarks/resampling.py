"""Part 5: `resample` of minute bars, beside pandas' own `resample` of the same frame.

pandas cuts by UTC and knows no sessions, so its bars are others than ours for most markets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.measurement import machine, medians_ms, publish, table
from datasets.research import resample

COUNTS = (100_000, 500_000)
ROUNDS = 9
# Trading hours, time zone, and the first and the last minute of trade after midnight.
MARKETS = (
    ("24x7", "Etc/UTC", 0, 1440),
    ("0930-1600", "America/New_York", 570, 960),
    ("1800-1700", "America/New_York", -360, 1020),
)
RULES = {"1h": "1h", "1D": "1D", "1W": "W-MON", "1M": "MS"}
SUMMARY = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def minute_bars(n_bars: int, hours: str, timezone: str, begin: int, end: int) -> pd.DataFrame:
    """Return minute bars of every minute of trade, from 2018 on."""
    every_day = "D" if hours == "24x7" else "B"
    days = pd.date_range("2018-01-01", periods=n_bars // (end - begin) + 1, freq=every_day)
    minutes = np.arange(begin, end).astype("m8[m]")
    wall = (days.to_numpy()[:, None] + minutes).ravel()[:n_bars]
    times = pd.DatetimeIndex(wall).tz_localize(
        timezone, ambiguous=np.zeros(n_bars, dtype=bool), nonexistent="shift_forward"
    )
    index = times.tz_convert("UTC").as_unit("ms").rename("time")
    walk = 100 + np.cumsum(np.random.default_rng(7).normal(0, 0.01, n_bars))
    bars = pd.DataFrame(
        {"open": walk, "high": walk + 0.1, "low": walk - 0.1, "close": walk, "volume": 1.0},
        index=index,
    )
    bars = bars[~index.duplicated()]
    bars.attrs.update(timeframe="1", session_hours=hours, timezone=timezone)
    return bars


def measure(n_bars: int, market: tuple[str, str, int, int]) -> list[list[str]]:
    bars = minute_bars(n_bars, *market)
    rows = []
    for timeframe, rule in RULES.items():
        runs: dict[str, Callable[[], object]] = {
            "ours": partial(resample, bars, timeframe),
            "pandas": lambda rule=rule: bars.resample(rule).agg(SUMMARY),  # type: ignore[misc]
        }
        medians = medians_ms(runs, rounds=ROUNDS)
        ours, theirs = medians["ours"], medians["pandas"]
        cells = [f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"]
        rows.append([f"{n_bars:,}", market[0], timeframe, *cells])
    return rows


def main() -> None:
    rows = [row for n_bars in COUNTS for market in MARKETS for row in measure(n_bars, market)]
    headings = ["minute bars", "hours", "to", "**resample**, ms", "pandas, ms", "of pandas"]
    publish("Resampling", f"{machine()}\n\n{table(headings, rows)}")


if __name__ == "__main__":
    main()
