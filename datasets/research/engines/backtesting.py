"""Bars for backtesting.py."""

from __future__ import annotations

import pandas as pd

from datasets.research.dataframes import to_ms
from datasets.research.engines.vectorbt import to_vectorbt


def to_backtesting(bars: pd.DataFrame) -> pd.DataFrame:
    """Return bars for `backtesting.Backtest`: columns `Open High Low Close Volume`.

    The index is the bar's opening, naive UTC: backtesting.py fills an order at the opening of the
    next bar. `Volume` is left out where no bar has a volume, and NaN for single bars without a
    volume. Raises `InvalidRequest` for bars that `require_bars` refuses.
    """
    frame = to_vectorbt(bars)
    times = to_ms(pd.DatetimeIndex(frame.index))
    frame.index = pd.DatetimeIndex(times.view("M8[ms]"), name=frame.index.name)
    return frame
