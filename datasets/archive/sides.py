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
_EXPLAINED = 0.95
_CHANGED = 0.5
# Splits have at most as many parts, such as 3:2 or 21:20.
_LARGEST_PART = 20
# Bars after a step's date that can have been revised in the same time.
_LATER_REVISED = 3
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
    # A corporate action changes the bars before its date and no later one. A few later bars can have
    # been revised in the same time.
    ends = np.flatnonzero(is_changed)[::-1] + 1
    for end in ends[: _LATER_REVISED + 1].tolist():
        step = _step_before(old, new, is_changed, end)
        if step is not None:
            is_split = step.offset == 0 and _is_split(old, new, end, step.factor)
            return replace(step, volume_factor=1 / step.factor if is_split else 1.0), is_split
    return None, False


def _step_before(old: Side, new: Side, is_changed: Booleans, end: int) -> Basis | None:
    """Return the step that explains the changes of the first `end` bars."""
    n_changed = int(np.count_nonzero(is_changed[:end]))
    if n_changed <= _CHANGED * end or n_changed < min(_LEAST_ROWS, len(old.times)):
        return None
    before, after = old.prices[:end], new.prices[:end]
    ticks = (tick_of(old.prices, old.instrument), tick_of(new.prices, new.instrument))
    has_ratio = bool((before > 0).all() and (after > 0).all())
    # With coarse ticks both explain the prices; only futures are adjusted by differences.
    kinds = [_ratio_of, _offset_of] if has_ratio else [_offset_of]
    if new.instrument.type == "futures":
        kinds.reverse()
    # Traded prices are exact, and only adjusted ones were rounded.
    for old_tick in (0.0, ticks[0]):
        for kind in kinds:
            tolerance, step = kind(before, after, old_tick, ticks[1])
            if _is_explained(before, after, step, tolerance):
                return step
    return None


def _ratio_of(
    before: Floats, after: Floats, old_tick: float, new_tick: float
) -> tuple[Floats, Basis]:
    """Return half a tick of each side's rounding, and the factor that explains the most prices within it."""
    factor = float(np.median(after / before))
    tolerance = 0.5 * (new_tick + factor * old_tick) + _EQUAL * np.abs(after)
    low, high = _most_common((after - tolerance) / before, (after + tolerance) / before)
    # The factor of a split is a simple fraction.
    fractions = (round((low + high) / 2 * parts) / parts for parts in range(1, _LARGEST_PART + 1))
    simple = (each for each in fractions if low <= each <= high)
    return tolerance, Basis(factor=next(simple, (low + high) / 2))


def _offset_of(
    before: Floats, after: Floats, old_tick: float, new_tick: float
) -> tuple[Floats, Basis]:
    """Return half a tick of each side's rounding, and the difference that explains the most prices within it."""
    tolerance = 0.5 * (new_tick + old_tick) + _EQUAL * np.abs(after)
    low, high = _most_common(after - before - tolerance, after - before + tolerance)
    return tolerance, Basis(offset=(low + high) / 2)


def _most_common(lows: Floats, highs: Floats) -> tuple[float, float]:
    """Return the range of values that lie in the most of the ranges from `lows` to `highs`."""
    bounds = np.concatenate([lows.ravel(), highs.ravel()])
    steps = np.repeat([1, -1], lows.size)
    # Of equal bounds the lower ones come first.
    order = np.lexsort((-steps, bounds))
    place = int(np.argmax(np.cumsum(steps[order])))
    return float(bounds[order[place]]), float(bounds[order[place + 1]])


def _is_split(old: Side, new: Side, end: int, factor: float) -> bool:
    """Return whether the volumes changed by the inverse of the prices' factor, as at a split."""
    is_traded = (old.volumes[:end] > 0) & (new.volumes[:end] > 0)
    if not is_traded.any():
        return False
    ratios = new.volumes[:end][is_traded] / old.volumes[:end][is_traded]
    change = float(np.median(np.log(ratios)))
    return abs(change + float(np.log(factor))) < abs(change)


def _is_explained(before: Floats, after: Floats, basis: Basis, tolerance: Floats) -> bool:
    """Return whether the step gives the new prices within the tolerance, and is larger than it."""
    expected = before * basis.factor + basis.offset
    is_near = (np.abs(after - expected) <= tolerance + _EQUAL * np.abs(after)).all(axis=1)
    # A step below the rounding would explain any small change.
    is_step = bool((np.abs(expected - before) > tolerance).any())
    return is_step and float(is_near.mean()) >= _EXPLAINED


def tick_of(prices: Floats, instrument: Instrument) -> float:
    """Return the step of the prices: the instrument's where the prices keep to it, else a power of ten.

    Prices before a split have more decimals than the instrument states. Single prices do not count.
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
    is_multiple = np.abs(multiples - np.rint(multiples)) <= tolerance
    return bool(is_multiple.mean() >= _EXPLAINED)


def equal_values(one: Floats, other: Floats) -> Booleans:
    """Return which values are equal, but for the arithmetic of floats; NaN equals NaN."""
    equal: Booleans = np.isclose(one, other, rtol=_EQUAL, atol=0, equal_nan=True)
    return equal
