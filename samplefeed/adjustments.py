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
    if instrument.is_stock:
        if adjustment == "dividends":
            # Each quarter before 2024 lowers the price by 0.25 %.
            before_s = np.maximum(_UNADJUSTED_SINCE - rows[:, TIME], 0.0)
            rows[:, OPEN:VOLUME] *= (0.9975 ** np.ceil(before_s / _QUARTER_SECONDS))[:, None]
            np.round(rows[:, OPEN:VOLUME], 6, out=rows[:, OPEN:VOLUME])
        for day, ratio in instrument.splits if adjustment == "none" else ():
            before = rows[:, TIME] < day * DAY_SECONDS
            rows[before, OPEN:VOLUME] *= ratio
            rows[before, VOLUME] = np.round(rows[before, VOLUME] / ratio)
    return rows if instrument.has_volume else rows[:, :VOLUME]
