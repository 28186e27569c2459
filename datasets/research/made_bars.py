"""Bars of a timeframe that TradingView does not send, made of loaded bars that it does send."""

from __future__ import annotations

from typing import Any

import pandas as pd

from datasets.bars import BarLength
from datasets.research.arguments import Form, Part
from datasets.research.dataframes import convert, index_ms
from datasets.research.resampling import resample


def n_base_bars(length: BarLength, n_bars: int | None) -> int | None:
    """Return how many bars of the base surely hold `n_bars` whole bars; None for None."""
    # A number below 1 is refused with the key.
    if n_bars is None or n_bars < 1 or length.fetched is not None:
        return n_bars
    minutes = length.base.minutes
    each = length.count if minutes is None else length.count // minutes
    # The first bar may be cut, and the last one may still be forming.
    return (n_bars + 2) * each


def make_bars(
    base: pd.DataFrame, length: BarLength, part: Part, columns: tuple[str, ...], form: Form
) -> Any:
    """Return the part of the bars that `base` adds up to, in the form that `load` describes.

    All of the bars are whole: a forming bar is never made.
    """
    made = resample(base, length.value)
    first, last = part.bounds(index_ms(made), is_forming=False)
    frame = made.iloc[first:last][list(columns)]
    frame.attrs["last_bar_final"] = True if len(frame) else None
    return convert(frame, form)
