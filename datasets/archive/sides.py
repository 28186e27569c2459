"""Sides of an audit: the bars of two fetches, and the step of the basis between them. No Django, no files."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.bars import PRICE_COLUMNS, Instrument
from datasets.storage.archives.archive_files import times_of
from datasets.storage.archives.series_document import Basis

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Differences of this part of a price come from the arithmetic of floats, not from the feed.
_EQUAL = 1e-9
# The share of rows that a step of the basis has to explain, and the share of the rows before its
# date that it has to change; a small step leaves some rounded prices as they were.
_EXPLAINED = 0.995
_CHANGED = 0.5
# Fewer changed rows prove a step only where they are all rows that could have changed.
_LEAST_ROWS = 3
_DECIMALS = range(9)


@dataclass(frozen=True, slots=True)
class Side:
    """The bars of one of the two fetches.

    `times` are openings in UNIX ms, shape (n,), rising; `prices` have shape (n, 4); `volumes`
    shape (n,), NaN where the exchange gives none; `is_final` shape (n,).
    """

    times: Integers
    prices: Floats
    volumes: Floats
    is_final: Booleans
    instrument: Instrument

    @classmethod
    def of(cls, table: pa.Table, forming: Integers, instrument: Instrument) -> Side:
        """Return the bars of a table whose first columns are those of bars; `forming` are openings."""
        times = times_of(table)
        return cls(
            times,
            np.column_stack([table[name].to_numpy() for name in PRICE_COLUMNS]),
            table["volume"].to_numpy(),
            ~np.isin(times, forming),
            instrument,
        )

    def at(self, chosen: Booleans) -> Side:
        """Return the chosen bars."""
        return Side(
            self.times[chosen], self.prices[chosen], self.volumes[chosen], self.is_final[chosen],
            self.instrument,
        )  # fmt: skip


def find_step(old: Side, new: Side) -> tuple[Basis | None, bool]:
    """Return the step of the basis that explains the changed prices, and whether it is a split."""
    is_changed = np.any(~equal_values(old.prices, new.prices), axis=1)
    if not is_changed.any():
        return None, False
    # A corporate action changes the bars before its date and no later one.
    end = int(np.flatnonzero(is_changed)[-1]) + 1
    is_changed, before, after = is_changed[:end], old.prices[:end], new.prices[:end]
    n_changed = int(np.count_nonzero(is_changed))
    if n_changed <= _CHANGED * end or n_changed < min(_LEAST_ROWS, len(old.times)):
        return None, False
    ticks = (tick_of(old.prices, old.instrument), tick_of(new.prices, new.instrument))
    steps = [Basis(offset=float(np.median(after - before)))]
    if (before > 0).all() and (after > 0).all():
        # With coarse ticks both explain the prices; only futures are adjusted by differences.
        is_future = new.instrument.type == "futures"
        steps.insert(int(is_future), Basis(factor=float(np.median(after / before))))
    step = next((each for each in steps if _is_explained(before, after, each, ticks)), None)
    if step is None:
        return None, False
    is_split = False
    is_traded = (old.volumes[:end] > 0) & (new.volumes[:end] > 0)
    if step.offset == 0 and is_traded.any():
        # At a split the volumes change by the inverse of the prices' factor.
        ratios = new.volumes[:end][is_traded] / old.volumes[:end][is_traded]
        change = float(np.median(np.log(ratios)))
        is_split = abs(change + float(np.log(step.factor))) < abs(change)
    return replace(step, volume_factor=1 / step.factor if is_split else 1.0), is_split


def _is_explained(before: Floats, after: Floats, basis: Basis, ticks: tuple[float, float]) -> bool:
    """Return whether the step gives the new prices within half a tick of each side's rounding."""
    expected = before * basis.factor + basis.offset
    tolerance = 0.5 * (ticks[1] + abs(basis.factor) * ticks[0]) + _EQUAL * np.abs(after)
    is_near = (np.abs(after - expected) <= tolerance).all(axis=1)
    # A step below the rounding would explain any small change.
    is_step = bool((np.abs(expected - before) > tolerance).any())
    return is_step and float(is_near.mean()) >= _EXPLAINED


def tick_of(prices: Floats, instrument: Instrument) -> float:
    """Return the step of the prices: the instrument's where all prices keep to it, else a power of ten.

    Prices before a split have more decimals than the instrument states.
    """
    if instrument.pricescale and instrument.minmov:
        stated = instrument.minmov / instrument.pricescale
        if _are_multiples(prices, stated):
            return stated
    steps = (10.0**-decimals for decimals in _DECIMALS)
    return next((step for step in steps if _are_multiples(prices, step)), 0.0)


def _are_multiples(prices: Floats, step: float) -> bool:
    multiples = prices / step
    tolerance = np.minimum(0.01, 1e-7 * np.maximum(1, np.abs(multiples)))
    return bool((np.abs(multiples - np.rint(multiples)) <= tolerance).all())


def equal_values(one: Floats, other: Floats) -> Booleans:
    """Return which values are equal, but for the arithmetic of floats; NaN equals NaN."""
    equal: Booleans = np.isclose(one, other, rtol=_EQUAL, atol=0, equal_nan=True)
    return equal
