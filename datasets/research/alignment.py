"""`align`: rows of a longer timeframe, or of another table, beside the bars that know them."""

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
    known_at: str | None = None,
) -> pd.DataFrame:
    """Put beside each bar the newest row of a longer timeframe, or of another table, known by then.

    Parameters
    ----------
    bars
        The shorter bars, or features of them on the same index.
    higher
        Bars of `load` or `resample`, or features of them. They need their `attrs`, or a
        column `close_time`. With `known_at` any table, such as one of announcements.
    columns
        Some columns of `higher`; all by default.
    suffix
        Text appended to the names of these columns; by default the timeframe, such as `_1D`,
        and nothing with `known_at`.
    at
        `close`: a row of `higher` is used once the shorter bar has closed (the usual case).
        `open`: only the rows that had closed when the shorter bar opened.
    known_at
        Column of `higher` with the instant at which each row was known, UTC without a zone. The
        rows may be in any order; of equal instants the later row counts, and a row without an
        instant is never used.

    Returns
    -------
    pd.DataFrame
        `bars` with the columns of `higher`; NaN before the first row of `higher` was known.

    Raises
    ------
    InvalidRequest
        A column is unknown or would stand twice, or it is not known when the rows were known.
    """
    check_choice("at", at, ("close", "open"))
    left = as_frame(bars)
    known, known_ms = _known_rows(as_frame(higher, "higher"), known_at)
    if at == "open" and left.index.name == CLOSE_TIME:
        raise InvalidRequest({"at": ["These rows say when they closed and not when they opened."]})
    names = _joined_columns(known, columns, leave_out={CLOSE_TIME, known_at})
    if suffix is None:
        suffix = "" if known_at else f"_{known.attrs.get('timeframe', 'higher')}"
    new_names = {f"{name}{suffix}" for name in names}
    twice = [name for name in left.columns if name in new_names]
    if twice:
        message = f"The bars have a column {twice[0]!r} already; give another suffix."
        raise InvalidRequest({"suffix": [message]})
    used_at = index_ms(left) if at == "open" else _closes_ms(left)
    # The newest row that was known; -1 where none was.
    position = np.searchsorted(known_ms, used_at, "right") - 1
    if len(known):
        taken = known[names].take(np.maximum(position, 0))
    else:
        taken = pd.DataFrame(np.nan, index=range(len(position)), columns=names)
    if (position < 0).any():
        taken = taken.where(np.broadcast_to((position >= 0)[:, None], taken.shape))
    joined = left.join(taken.set_axis(left.index).add_suffix(suffix))
    joined.attrs = left.attrs
    return joined


def _known_rows(higher: pd.DataFrame, known_at: str | None) -> tuple[pd.DataFrame, Integers]:
    """Return the rows in the order in which they were known, and the instants in ms."""
    require_unique(higher)
    if known_at is None:
        known = drop_forming(higher)
        # The opening of a forming bar is the latest close of the bar before it.
        return known, np.maximum.accumulate(_closes_ms(higher)[: len(known)])
    if known_at not in higher.columns:
        allowed = ", ".join(map(str, higher.columns))
        message = f"{known_at!r} is no column of the table; use one of {allowed}."
        raise InvalidRequest({"known_at": [message]})
    known = higher[higher[known_at].notna()]
    if not pd.api.types.is_datetime64_any_dtype(known[known_at]):
        message = f"The column {known_at!r} holds no instants; convert it by pd.to_datetime."
        raise InvalidRequest({"known_at": [message]})
    # Rounded up: a row must not be known a part of a millisecond too early.
    instants = to_ms(pd.DatetimeIndex(known[known_at]).ceil("ms"))
    order = np.argsort(instants, kind="stable")
    return known.iloc[order], instants[order]


def _joined_columns(
    higher: pd.DataFrame, columns: str | Sequence[str] | None, leave_out: set[str | None]
) -> list[Any]:
    """Return the columns to join: all without those that say when a row was known, or some."""
    if columns is None:
        return [name for name in higher.columns if name not in leave_out]
    available = [name for name in higher.columns if name != CLOSE_TIME]
    chosen = [columns] if isinstance(columns, str) else list(columns)
    wrong = [name for name in chosen if name not in available]
    if wrong:
        allowed = ", ".join(map(str, available))
        message = f"{wrong[0]!r} is no column of the joined table; use some of {allowed}."
        raise InvalidRequest({"columns": [message]})
    return chosen


def _closes_ms(bars: pd.DataFrame) -> Integers:
    return to_ms(pd.DatetimeIndex(close_times(bars)))
