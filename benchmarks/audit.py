"""Part 10: the audit: what was changed in 128 common bars, and how it was classed, by price level and decimals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measurement import machine, medians_ms, publish, table
from datasets.bars import Instrument
from tests.support.audited_sides import audited, side, walk

N_TRIALS, N_COMMON = 40, 128
# Price and decimals of the prices as traded. Adjusted prices have the same decimals, or six.
LEVELS = [(30_000, 0), (200, 2), (10, 2), (1, 2), (0.3, 2), (1, 4), (0.002, 6)]
FUTURE = Instrument(type="futures")

# New prices and volumes of a trial.
Change = Callable[[Any, Any, int, int, int], tuple[Any, Any]]


def by_factor(factor: float, *, is_split: bool, n_revised: int = 0) -> Change:
    """Return the change of a split or a dividend in the first 100 to 120 bars."""

    def change(prices: Any, volumes: Any, seed: int, decimals: int, after: int) -> tuple[Any, Any]:
        later, later_volumes, date = prices.copy(), volumes.copy(), 100 + seed % 20
        later[:date] = np.round(prices[:date] * factor, after)
        if is_split:
            later_volumes[:date] = np.round(volumes[:date] / factor)
        revised = np.random.default_rng(seed).integers(0, date, n_revised)
        later[revised, 3] = np.round(later[revised, 3] * 1.05, after)
        return later, later_volumes

    return change


def by_offset(share: float) -> Change:
    def change(prices: Any, volumes: Any, seed: int, decimals: int, after: int) -> tuple[Any, Any]:
        later = prices.copy()
        later[:100] = np.round(prices[:100] + round(prices[0, 0] * share, decimals), after)
        return later, volumes

    return change


def revised(n_bars: int) -> Change:
    """Return a revision of single closes by 10 ticks."""

    def change(prices: Any, volumes: Any, seed: int, decimals: int, after: int) -> tuple[Any, Any]:
        later = prices.copy()
        chosen = np.random.default_rng(seed).choice(N_COMMON, n_bars, replace=False)
        later[chosen, 3] = np.round(later[chosen, 3] + 10.0 ** (1 - decimals), decimals)
        return later, volumes

    return change


def revised_volumes(
    prices: Any, volumes: Any, seed: int, decimals: int, after: int
) -> tuple[Any, Any]:
    later = volumes.copy()
    later[-3:] += 100
    return prices, later


# What happened, the class that it should have, the change, and whether it is a future.
CASES: list[tuple[str, str, Change, Instrument]] = [
    ("split 4:1", "ratio", by_factor(0.25, is_split=True), Instrument()),
    ("split 3:2", "ratio", by_factor(2 / 3, is_split=True), Instrument()),
    ("split 10:1", "ratio", by_factor(0.1, is_split=True), Instrument()),
    ("reverse split 1:10", "ratio", by_factor(10, is_split=True), Instrument()),
    ("split 4:1 and 2 revised bars", "ratio", by_factor(0.25, is_split=True, n_revised=2), Instrument()),
    ("dividend of 5 %", "ratio", by_factor(0.95, is_split=False), Instrument()),
    ("dividend of 1 %", "ratio", by_factor(0.99, is_split=False), Instrument()),
    ("dividend of 0.3 %", "ratio", by_factor(0.997, is_split=False), Instrument()),
    ("dividend of 0.05 %", "ratio", by_factor(0.9995, is_split=False), Instrument()),
    ("roll by 1 % of the price", "offset", by_offset(0.01), FUTURE),
    ("1 close revised by 10 ticks", "unexplained", revised(1), Instrument()),
    ("3 closes revised by 10 ticks", "unexplained", revised(3), Instrument()),
    ("40 closes revised by 10 ticks", "unexplained", revised(40), Instrument()),
    ("3 volumes", "volume", revised_volumes, Instrument()),
]  # fmt: skip


def cell(change: Change, level: float, decimals: int, after: int, instrument: Instrument) -> str:
    """Return how often each class was found."""
    found: Counter[str] = Counter()
    for seed in range(N_TRIALS):
        prices, volumes = (each[:N_COMMON] for each in walk(seed, level, decimals))
        later, later_volumes = change(prices, volumes, seed, decimals, after)
        audit = audited(side(prices, volumes, instrument), side(later, later_volumes, instrument))
        found[audit.finding.value] += 1
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{number} {name}" for name, number in found.most_common())


def main() -> None:
    columns = [(level, decimals, after) for level, decimals in LEVELS for after in {decimals, 6}]
    columns.sort(key=lambda one: (-one[0], one[1], one[2]))
    headings = [f"{level:,g}; {decimals}, {after}" for level, decimals, after in columns]
    rows = [
        [name, expected, *(cell(change, *column, instrument) for column in columns)]
        for name, expected, change, instrument in CASES
    ]
    prices, volumes = walk(0, 200, 2)
    later, later_volumes = by_factor(0.25, is_split=True)(prices, volumes, 0, 2, 2)
    old, new = side(prices, volumes), side(later, later_volumes)
    taken = medians_ms({"audit": lambda: audited(old, new)}, rounds=30)["audit"]
    publish(
        "Audit",
        f"{machine()}; {N_TRIALS} made-up shares a cell, {N_COMMON} common\n"
        "daily bars of 1.5 % a day. A column is the price, its decimals, and the decimals of adjusted prices. A cell without\n"
        f"a number holds for all shares. `same`: no price changed. One audit of 600 bars takes {taken:.1f} ms.\n\n"
        + table(["what happened", "should be", *headings], rows),
    )


if __name__ == "__main__":
    main()
