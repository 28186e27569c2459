"""The bars that meet an alert's condition. No database, no files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from datasets.bars import BarLength
from datasets.calendars import NEVER, Calendar, Clock, close_instants
from datasets.calendars.gap_findings import to_instant, to_ms
from datasets.calendars.zones import MINUTE_MS, Integers
from datasets.models import PriceAlert, Series

Condition = PriceAlert.Condition


@dataclass(frozen=True, slots=True)
class CheckedBar:
    """Prices of one bar, its opening and an instant at which it has closed (UNIX ms)."""

    opened_ms: int
    closed_ms: int
    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class MetBar:
    """A bar that met a condition: its opening (aware, UTC), and the price that met it."""

    opened_at: datetime
    price: float


def checked_bars(
    series: Series, rows: Sequence[Sequence[Any]], *, closed_by: datetime | None = None
) -> list[CheckedBar]:
    """Return bars with the instants of their closes.

    Parameters
    ----------
    series
        The series, whose calendar decides when a bar closes.
    rows
        Opening in UNIX milliseconds, open, high, low and close of each bar, oldest first.
    closed_by
        An instant at which the last bar had closed; None for a bar that may be forming.
    """
    times = np.array([row[0] for row in rows], dtype=np.int64)
    closes = _closes(series, times, NEVER if closed_by is None else to_ms(closed_by))
    return [
        CheckedBar(int(row[0]), closed, *map(float, row[1:5]))
        for row, closed in zip(rows, closes.tolist(), strict=True)
    ]


def _closes(series: Series, times: Integers, closed_by_ms: int) -> Integers:
    """Return the close of each bar, never later than the length of an intraday bar after its opening."""
    clock = Clock(series.timeframe, Calendar.of(series.instrument))
    closes = close_instants(times, clock, closed_by_ms=closed_by_ms)
    minutes = BarLength.parse(series.timeframe).minutes
    return closes if minutes is None else np.minimum(closes, times + minutes * MINUTE_MS)


def met_bars(alert: PriceAlert, bars: Sequence[CheckedBar]) -> Iterator[MetBar]:
    """Yield the bars that meet the condition, oldest first.

    Only bars that close after the alert was armed count, and only those after the bar that has
    triggered it already. `bars` are consecutive; the close before a bar decides whether it crosses.
    """
    armed_ms = to_ms(alert.armed_at)
    done_ms = -NEVER if alert.triggered_bar is None else to_ms(alert.triggered_bar)
    before = None
    for bar in bars:
        if bar.closed_ms > armed_ms and bar.opened_ms > done_ms:
            price = _meeting_price(alert, bar, before, is_whole=bar.opened_ms >= armed_ms)
            if price is not None:
                yield MetBar(to_instant(bar.opened_ms), price)
        before = bar.close


def _meeting_price(
    alert: PriceAlert, bar: CheckedBar, before: float | None, *, is_whole: bool
) -> float | None:
    """Return the price of the bar that meets the condition; None where none does.

    An alert on forming bars counts high and low, but only of a bar that opened after it was armed.
    """
    counts_all = alert.bars == PriceAlert.Bars.FORMING
    if before is None or (counts_all and not is_whole):
        before = bar.open if alert.reference_price is None else alert.reference_price
    is_extreme = counts_all and is_whole
    highest, lowest = (bar.high, bar.low) if is_extreme else (bar.close, bar.close)
    if alert.condition == Condition.ABOVE:
        return highest if highest > alert.price else None
    if alert.condition == Condition.BELOW:
        return lowest if lowest < alert.price else None
    if before < alert.price <= highest:
        return highest
    return lowest if lowest <= alert.price < before else None
