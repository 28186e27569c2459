"""Prices and volumes of a reply from whole ticks, adjusted for splits, dividends, or unadjusted."""

from __future__ import annotations

import numpy as np

from samplefeed.hours import DAY_SECONDS
from samplefeed.instruments import Instrument
from samplefeed.noise import Floats, Integers
from samplefeed.synthetic import OPEN, TIME, VOLUME

_UNADJUSTED_SINCE = 1_704_067_200.0  # 2024-01-01
_QUARTER_SECONDS = 91.3125 * DAY_SECONDS


def wire_rows(instrument: Instrument, table: Integers, adjustment: str) -> Floats:
    """Return rows of time, prices and, if the instrument has it, volume."""
    rows = table.astype(np.float64)
    rows[:, OPEN:VOLUME] = table[:, OPEN:VOLUME] * instrument.minimum_move / instrument.price_scale
    rows[:, VOLUME] = table[:, VOLUME] / instrument.volume_scale
    if instrument.is_stock and adjustment in {"dividends", "none"}:
        _adjust(instrument, rows, adjustment)
    return rows if instrument.has_volume else rows[:, :VOLUME]


def _adjust(instrument: Instrument, rows: Floats, adjustment: str) -> None:
    """Change split-adjusted rows to another adjustment, in place."""
    if adjustment == "dividends":
        rows[:, OPEN:VOLUME] *= _dividend_factors(rows[:, TIME])[:, None]
        np.round(rows[:, OPEN:VOLUME], 6, out=rows[:, OPEN:VOLUME])
        return
    for day, ratio in instrument.splits:
        before = rows[:, TIME] < day * DAY_SECONDS
        rows[before, OPEN:VOLUME] *= ratio
        rows[before, VOLUME] = np.round(rows[before, VOLUME] / ratio)


def _dividend_factors(times: Floats) -> Floats:
    """Return factors that lower the price by 0.25 % for each quarter before 2024."""
    quarters = np.ceil(np.maximum(_UNADJUSTED_SINCE - times, 0.0) / _QUARTER_SECONDS)
    factors: Floats = 0.9975**quarters
    return factors
