"""Audit of arriving bars: the bars that two fetches have in common, compared and classed. No Django, no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from datasets.archive.sides import Integers, Side, equal_values, find_step
from datasets.bars import Instrument
from datasets.storage.archives.series_document import Basis

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
    has_volume_change = ~equal_values(old.volumes, new.volumes)
    has_price_change = np.any(~equal_values(old.prices, new.prices), axis=1)
    is_placeholder = ~gone.is_final | (
        (np.nan_to_num(gone.volumes) == 0) & (gone.times > held_at_ms - _DAY_MS)
    )
    price_changed = old.is_final & has_price_change
    volume_changed = old.is_final & has_volume_change & ~has_price_change
    basis, is_split = find_step(old.at(old.is_final), new.at(old.is_final))
    # As a part of the price before.
    before = old.prices[price_changed]
    changes = np.abs(new.prices[price_changed][before != 0] / before[before != 0] - 1)
    largest_change = float(np.max(changes, initial=0.0))
    found = Audit(
        finding=Finding.SAME,
        closed=old.times[~old.is_final & (has_price_change | has_volume_change)],
        volume=old.times[volume_changed],
        changed=old.times[price_changed],
        vanished=gone.times[~is_placeholder],
        placeholders=gone.times[is_placeholder],
        basis=basis,
        is_split=is_split,
        largest_change=largest_change,
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
