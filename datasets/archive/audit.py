"""Audit of arriving bars: the bars that two fetches have in common, compared and classed. No Django, no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

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
_DAY_MS = 86_400_000


class Finding(StrEnum):
    """The class of a difference between two fetches of one series."""

    SAME = "same"
    CLOSED = "closed"
    VOLUME = "volume"
    RATIO = "ratio"
    OFFSET = "offset"
    VANISHED = "vanished"
    FEED_CHANGED = "feed_changed"
    UNEXPLAINED = "unexplained"


# Findings after which the older bars have another basis than the new ones.
NEW_BASIS = (Finding.RATIO, Finding.OFFSET, Finding.FEED_CHANGED)


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


@dataclass(frozen=True, slots=True)
class Audit:
    """The differences between the bars that were held and those that arrived, by class.

    Each array has the openings (UNIX ms) of the bars of its class. `placeholders` vanished too:
    bars that were not final, or that had no volume and were less than a day old. `basis` is the
    step of a `ratio` or an `offset`; `is_split` whether the volumes changed by the inverse.
    """

    finding: Finding
    closed: Integers
    volume: Integers
    changed: Integers
    vanished: Integers
    placeholders: Integers
    basis: Basis | None = None
    is_split: bool = False
    largest_change: float = 0.0


def compare(held: Side, arrived: Side, *, held_at_ms: int) -> Audit:
    """Return the audit of the bars that arrived against those that were held.

    `held_at_ms` is the instant of the fetch that brought the held bars, UNIX ms. Bars outside
    the range that both sides cover are not compared.
    """
    none = np.empty(0, dtype=np.int64)
    if not (len(held.times) and len(arrived.times)):
        is_other = is_other_feed(held.instrument, arrived.instrument, with_delay=True)
        finding = Finding.FEED_CHANGED if is_other else Finding.SAME
        return Audit(finding, none, none, none, none, none)
    first, last = arrived.times[0], arrived.times[-1]
    held = held.at((held.times >= first) & (held.times <= last))
    is_common = np.isin(held.times, arrived.times)
    gone, old = held.at(~is_common), held.at(is_common)
    new = arrived.at(np.isin(arrived.times, old.times))
    has_volume_change = ~_equal(old.volumes, new.volumes)
    has_price_change = np.any(~_equal(old.prices, new.prices), axis=1)
    is_placeholder = ~gone.is_final | (
        (np.nan_to_num(gone.volumes) == 0) & (gone.times > held_at_ms - _DAY_MS)
    )
    price_changed = old.is_final & has_price_change
    volume_changed = old.is_final & has_volume_change & ~has_price_change
    basis, is_split = _step(old.at(old.is_final), new.at(old.is_final))
    found = Audit(
        finding=Finding.SAME,
        closed=old.times[~old.is_final & (has_price_change | has_volume_change)],
        volume=old.times[volume_changed],
        changed=old.times[price_changed],
        vanished=gone.times[~is_placeholder],
        placeholders=gone.times[is_placeholder],
        basis=basis,
        is_split=is_split,
        largest_change=_largest_change(old.prices[price_changed], new.prices[price_changed]),
    )
    return _classed(found, held.instrument, arrived.instrument)


def is_other_feed(one: Instrument, other: Instrument, *, with_delay: bool) -> bool:
    """Return whether two descriptions name different feeds; an absent fact is no difference."""
    pairs = ((one.full_name, other.full_name), (one.currency, other.currency))
    is_other = any(first and second and first != second for first, second in pairs)
    is_known = bool(one.full_name and other.full_name)
    return is_other or (with_delay and is_known and one.delay_s != other.delay_s)


def _classed(found: Audit, one: Instrument, other: Instrument) -> Audit:
    has_changes = bool(len(found.changed) or len(found.volume))
    # A feed without its delay sends the same bars as before, and those stay one history.
    if is_other_feed(one, other, with_delay=has_changes):
        finding = Finding.FEED_CHANGED
    elif found.basis is not None:
        finding = Finding.RATIO if found.basis.offset == 0 else Finding.OFFSET
    else:
        classes = (
            (Finding.UNEXPLAINED, found.changed),
            (Finding.VANISHED, np.append(found.vanished, found.placeholders)),
            (Finding.VOLUME, found.volume),
            (Finding.CLOSED, found.closed),
        )
        finding = next((name for name, times in classes if len(times)), Finding.SAME)
    return replace(found, finding=finding)


def _step(old: Side, new: Side) -> tuple[Basis | None, bool]:
    """Return the step of the basis that explains the changed prices, and whether it is a split."""
    is_changed = np.any(~_equal(old.prices, new.prices), axis=1)
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
    is_split = step.offset == 0 and _are_volumes_divided(
        old.volumes[:end], new.volumes[:end], step.factor
    )
    return replace(step, volume_factor=1 / step.factor if is_split else 1.0), is_split


def _is_explained(before: Floats, after: Floats, basis: Basis, ticks: tuple[float, float]) -> bool:
    """Return whether the step gives the new prices within half a tick of each side's rounding."""
    expected = before * basis.factor + basis.offset
    tolerance = 0.5 * (ticks[1] + abs(basis.factor) * ticks[0]) + _EQUAL * np.abs(after)
    is_near = (np.abs(after - expected) <= tolerance).all(axis=1)
    # A step below the rounding would explain any small change.
    is_step = bool((np.abs(expected - before) > tolerance).any())
    return is_step and float(is_near.mean()) >= _EXPLAINED


def _are_volumes_divided(before: Floats, after: Floats, factor: float) -> bool:
    """Return whether the volumes changed by the inverse of the prices' factor, as at a split."""
    is_traded = (before > 0) & (after > 0)
    if not is_traded.any():
        return False
    change = float(np.median(np.log(after[is_traded] / before[is_traded])))
    return abs(change + float(np.log(factor))) < abs(change)


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


def _equal(one: Floats, other: Floats) -> Booleans:
    equal: Booleans = np.isclose(one, other, rtol=_EQUAL, atol=0, equal_nan=True)
    return equal


def _largest_change(before: Floats, after: Floats) -> float:
    """Return the largest change of a price as a part of the price before; 0 without a change."""
    is_known = before != 0
    if not is_known.any():
        return 0.0
    return float(np.max(np.abs(after[is_known] / before[is_known] - 1)))
