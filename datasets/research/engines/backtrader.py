"""Bars for backtrader."""

from __future__ import annotations

from typing import Any

import pandas as pd

from datasets.bars import BarLength
from datasets.research.arguments import CLOSE_TIME, VALUE_COLUMNS
from datasets.research.dataframes import close_times
from datasets.research.engines.engine_bars import import_engine, require_bars, require_fact

_UNITS = {"m": "Minutes", "D": "Days", "W": "Weeks", "M": "Months"}


def to_backtrader(bars: pd.DataFrame, **params: Any) -> Any:
    """Return bars as a feed of backtrader: `cerebro.adddata(to_backtrader(bars))`.

    backtrader orders the bars of several feeds by their times, so each bar has the time of its
    close: a strategy on hours never sees a day before the day has ended.

    Parameters
    ----------
    bars
        From `load` or `resample`, with the `attrs`: closing times and timeframe come from there.
    **params
        Parameters of the feed, such as `name` or `tz`; they replace those that are set here:
        `name`, `timeframe`, `compression`.

    Returns
    -------
    backtrader.feeds.PandasDirectData
        Times are naive UTC; `volume` is NaN where the exchange gives none. `p.dataname` is the
        frame, index `close_time`, with the `attrs` of `bars`.

    Raises
    ------
    InvalidRequest
        backtrader is not installed, the `attrs` are gone, or `require_bars` refuses the bars.
    """
    length = BarLength.parse(require_fact(bars, "timeframe"))
    frame = require_bars(bars).reindex(columns=list(VALUE_COLUMNS))
    frame.index = pd.DatetimeIndex(close_times(bars), name=CLOSE_TIME)
    frame.attrs.update(bars.attrs)
    backtrader = import_engine("backtrader", "backtrader")
    values = {
        "name": bars.attrs.get("full_symbol", ""),
        "timeframe": getattr(backtrader.TimeFrame, _UNITS[length.unit]),
        "compression": length.count,
        # The frame has no such column.
        "openinterest": -1,
    }
    return backtrader.feeds.PandasDirectData(dataname=frame, **values | params)
