"""Bars as JSON, cached, so that a repeated reply costs little more than its bytes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from samplefeed.bars import Bars
from samplefeed.frames import numbers
from samplefeed.memory import BoundedMemory
from samplefeed.noise import Integers

_DAY = 86_400


@dataclass(frozen=True)
class RenderedBars:
    """The long parts of a `timescale_update`, without their brackets."""

    rows: bytes
    changes: bytes
    marks: bytes
    n_bars: int

    @property
    def n_bytes(self) -> int:
        """Return the size of the parts in bytes."""
        return len(self.rows) + len(self.changes) + len(self.marks)

    def joined(self, other: RenderedBars) -> RenderedBars:
        """Return these bars followed by the bars of `other`."""
        return RenderedBars(
            b",".join(filter(None, (self.rows, other.rows))),
            b",".join(filter(None, (self.changes, other.changes))),
            b",".join(filter(None, (self.marks, other.marks))),
            self.n_bars + other.n_bars,
        )


_rendered: BoundedMemory[RenderedBars] = BoundedMemory(
    max_bytes=64_000_000, size_of=lambda rendered: rendered.n_bytes
)


def render(bars: Bars, key: Hashable, first_index: int = 0) -> RenderedBars:
    """Return the bars as JSON; `key` names series and adjustment.

    Closed bars are cached: within one series, the first and the last time identify the bars.
    """
    n_closed = len(bars) - bars.is_forming
    if n_closed <= 0:
        return _render_part(bars, 0, len(bars), first_index)
    span = (bars.rows[0, 0], bars.rows[n_closed - 1, 0], n_closed, first_index)
    closed = _rendered.get((key, span), lambda: _render_part(bars, 0, n_closed, first_index))
    return closed.joined(_render_part(bars, n_closed, len(bars), first_index))


def _render_part(bars: Bars, start: int, end: int, first_index: int) -> RenderedBars:
    rows = bars.rows[start:end].tolist()
    indexes = range(first_index + start, first_index + end)
    listed = [{"i": index, "v": row} for index, row in zip(indexes, rows, strict=True)]
    weights = _mark_weights(bars)[start:end].tolist()
    marks = zip(weights, bars.mark_times[start:end].tolist(), indexes, strict=True)
    return RenderedBars(
        numbers(listed)[1:-1],
        numbers([row[0] for row in rows])[1:-1],
        numbers([list(mark) for mark in marks])[1:-1],
        end - start,
    )


def _mark_weights(bars: Bars) -> Integers:
    """Return the weight of each bar's mark on the time axis: 40 a day, 50 a week, and so on."""
    numbers_of_days = bars.mark_times // _DAY
    dates = numbers_of_days.astype("datetime64[D]")
    weights = np.where(bars.mark_times % 3600 == 0, 22, 10)
    for weight, periods in (
        (40, numbers_of_days),
        (50, (numbers_of_days + 3) // 7),
        (60, dates.astype("datetime64[M]").astype(np.int64)),
        (70, dates.astype("datetime64[Y]").astype(np.int64)),
    ):
        if len(periods):
            weights[np.diff(periods, prepend=periods[0] - (weight == 40)) != 0] = weight
    return weights
