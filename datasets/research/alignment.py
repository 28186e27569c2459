"""`align`: the rows of a longer timeframe beside the bars of a shorter one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME, check_choice
from datasets.research.dataframes import (
    Integers,
    as_frame,
    close_times,
    drop_forming,
    index_ms,
    require_unique,
    to_ms,
)


def align(
    bars: pd.DataFrame | pd.Series,
    higher: pd.DataFrame | pd.Series,
    *,
    columns: str | Sequence[str] | None = None,
    suffix: str | None = None,
    at: Literal["close", "open"] = "close",
) -> pd.DataFrame:
    """Put beside each bar the newest row of a longer timeframe that had closed by then.

    Parameters
    ----------
    bars
        The shorter bars, or features of them on the same index.
    higher
        Bars of `load` or `resample`, or features of them. They need their `attrs`, or a
        column `close_time`.
    columns
        Some columns of `higher`; all by default.
    suffix
        Text appended to the names of these columns; by default the timeframe, such as `_1D`.
    at
        `close`: a row of `higher` is used once the shorter bar has closed (the usual case).
        `open`: only the rows that had closed when the shorter bar opened.

    Returns
    -------
    pd.DataFrame
        `bars` with the columns of `higher`; NaN before the first bar of `higher` had closed.

    Raises
    ------
    InvalidRequest
        A column is unknown or would stand twice, or the closing times are not known.
    """
    check_choice("at", at, ("close", "open"))
    left, rows = as_frame(bars), as_frame(higher, "higher")
    known = drop_forming(rows)
    if at == "open" and left.index.name == CLOSE_TIME:
        raise InvalidRequest({"at": ["These rows say when they closed and not when they opened."]})
    names = _joined_columns(known, columns)
    ending = f"_{known.attrs.get('timeframe', 'higher')}" if suffix is None else suffix
    new_names = {f"{name}{ending}" for name in names}
    twice = [name for name in left.columns if name in new_names]
    if twice:
        message = f"The bars have a column {twice[0]!r} already; give another suffix."
        raise InvalidRequest({"suffix": [message]})
    used_at = index_ms(left) if at == "open" else _closes_ms(left)
    # The newest row whose bar had closed; -1 where no row had.
    # The opening of a forming bar is the latest close of the bar before it.
    closes = _closes_ms(rows)[: len(known)]
    position = np.searchsorted(np.maximum.accumulate(closes), used_at, "right") - 1
    if len(known):
        taken = known[names].take(np.maximum(position, 0))
    else:
        taken = pd.DataFrame(np.nan, index=range(len(position)), columns=names)
    if (position < 0).any():
        taken = taken.where(np.broadcast_to((position >= 0)[:, None], taken.shape))
    joined = left.join(taken.set_axis(left.index).add_suffix(ending))
    joined.attrs = left.attrs
    return joined


def _joined_columns(higher: pd.DataFrame, columns: str | Sequence[str] | None) -> list[Any]:
    """Return the columns of the longer timeframe to join; `close_time` is not among them."""
    available = [name for name in higher.columns if name != CLOSE_TIME]
    require_unique(higher)
    if columns is None:
        return available
    chosen = [columns] if isinstance(columns, str) else list(columns)
    wrong = [name for name in chosen if name not in available]
    if wrong:
        allowed = ", ".join(map(str, available))
        message = f"{wrong[0]!r} is no column of the longer timeframe; use some of {allowed}."
        raise InvalidRequest({"columns": [message]})
    return chosen


def _closes_ms(bars: pd.DataFrame) -> Integers:
    return to_ms(pd.DatetimeIndex(close_times(bars)))
