"""Splits of bars into training and test parts, by the instants at which the rows are known."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME
from datasets.research.dataframes import (
    Integers,
    as_frame,
    close_times,
    drop_forming,
    index_ms,
    to_ms,
)

Positions = npt.NDArray[np.intp]


class Split(NamedTuple):
    """Positions (for `iloc`) of the rows of the training part and of the test part."""

    train: Positions
    test: Positions


class _Rows(NamedTuple):
    """The usable rows: their positions, and when each opens and is known, in ms."""

    positions: Positions
    opens: Integers
    known: Integers


def walk_forward(
    bars: pd.DataFrame | pd.Series,
    n_splits: int = 5,
    *,
    n_test: int | None = None,
    n_train: int | None = None,
    known_at: pd.Series | None = None,
    embargo: timedelta | str = timedelta(0),
) -> list[Split]:
    """Split bars into test parts that follow each other, each with the rows known before it.

    Parameters
    ----------
    bars
        From `load` or `resample`, or features on the same index; the index holds openings, UTC.
    n_splits
        Number of test parts, 1 or more. Together they are the newest rows.
    n_test
        Rows of one test part; by default the usable rows divided by `n_splits + 1`.
    n_train
        Most rows of a training part, the newest ones; by default all rows since the first.
    known_at
        When each row **with its label** is known, UTC, on the index of `bars`; by default the
        `close_times`. A label about the next 5 bars is known when the fifth has closed. An
        instant before the row's own close counts as that close. A row with NaT is in no part.
    embargo
        Least time between the instant at which a training row is known and the opening of the
        first test bar: a timedelta, or a text such as `2D`; 0 or more.

    Returns
    -------
    list of Split
        In the order of time; scikit-learn takes the list as `cv=`. Each row of `train` satisfies
        `known_at <= opening of the first test bar - embargo`, both ends included. A forming last
        bar is in no part.

    Raises
    ------
    InvalidRequest
        A number is below 1 or too large, a training part would be empty, the openings or the
        closing times are not known, or `known_at` is on another index.
    """
    rows = _usable_rows(bars, known_at)
    embargo_ms = _to_ms(embargo)
    n_rows = len(rows.positions)
    size = n_rows // (n_splits + 1) if n_test is None and n_splits > 0 else n_test or 0
    if n_splits < 1 or size < 1 or n_splits * size >= n_rows:
        message = (
            f"{n_rows} rows cannot give {n_splits} test parts of {size} rows and a training part."
        )
        raise InvalidRequest({"n_splits": [message]})
    if n_train is not None and n_train < 1:
        raise InvalidRequest({"n_train": ["n_train must be 1 or more."]})
    found = []
    for first in range(n_rows - n_splits * size, n_rows, size):
        before = np.flatnonzero(rows.known[:first] <= rows.opens[first] - embargo_ms)
        train = before if n_train is None else before[-n_train:]
        found.append(_split(rows, train, np.arange(first, first + size)))
    return found


def purged_splits(
    bars: pd.DataFrame | pd.Series,
    n_splits: int = 5,
    *,
    known_at: pd.Series | None = None,
    embargo: timedelta | str = timedelta(0),
) -> list[Split]:
    """Split bars into equal test parts; train on the other rows that share no instant with them.

    Each row spans the time from its opening until it is known with its label. A training row
    spans no instant of the test part, neither before nor after it. The training part of all
    but the last split contains later rows than the test part: this is for comparing models,
    and no simulation of trade, which `walk_forward` is.

    Parameters
    ----------
    bars, known_at
        As in `walk_forward`.
    n_splits
        Number of test parts, 2 or more. Each row is in one test part; sizes differ by 1 at most.
    embargo
        Least time between the spans of a training row and of the test part, before and after it.

    Returns
    -------
    list of Split
        In the order of the test parts. Each row of `train` either is known at
        `opening of the first test bar - embargo` or earlier, or opens at
        `newest known_at of the test part + embargo` or later.

    Raises
    ------
    InvalidRequest
        As in `walk_forward`.
    """
    rows = _usable_rows(bars, known_at)
    embargo_ms = _to_ms(embargo)
    n_rows = len(rows.positions)
    if not 2 <= n_splits <= n_rows:
        message = f"{n_rows} rows cannot be split into {n_splits} parts; use 2 to {n_rows}."
        raise InvalidRequest({"n_splits": [message]})
    found = []
    for test in np.array_split(np.arange(n_rows), n_splits):
        is_before = rows.known <= rows.opens[test[0]] - embargo_ms
        is_after = rows.opens >= rows.known[test].max() + embargo_ms
        found.append(_split(rows, np.flatnonzero(is_before | is_after), test))
    return found


def _usable_rows(bars: pd.DataFrame | pd.Series, known_at: pd.Series | None) -> _Rows:
    """Return the rows without a forming last bar, and without those that are never known."""
    frame = drop_forming(as_frame(bars))
    if frame.index.name == CLOSE_TIME:
        raise InvalidRequest(
            {"bars": ["These rows say when they closed and not when they opened."]}
        )
    opens = index_ms(frame)
    known = to_ms(pd.DatetimeIndex(close_times(frame)))
    is_known = np.full(len(frame), True)
    if known_at is not None:
        if not known_at.index.equals(as_frame(bars).index):
            raise InvalidRequest({"known_at": ["known_at is not on the index of the bars."]})
        if not pd.api.types.is_datetime64_any_dtype(known_at):
            raise InvalidRequest({"known_at": ["known_at holds no instants; use pd.to_datetime."]})
        labelled = known_at.iloc[: len(frame)]
        is_known = labelled.notna().to_numpy()
        # Rounded up: a row must not be known a part of a millisecond too early.
        known = np.maximum(known, to_ms(pd.DatetimeIndex(labelled).ceil("ms")))
    positions = np.flatnonzero(is_known)
    return _Rows(positions, opens[positions], known[positions])


def _to_ms(embargo: timedelta | str) -> int:
    try:
        found = pd.Timedelta(embargo)
    except ValueError as error:
        message = f"{embargo!r} is no length of time, such as '2D' or '90min'."
        raise InvalidRequest({"embargo": [message]}) from error
    if not found >= pd.Timedelta(0):
        raise InvalidRequest({"embargo": ["embargo must be 0 or more."]})
    return int(found.ceil("ms") // pd.Timedelta(1, "ms"))


def _split(rows: _Rows, train: Positions, test: Positions) -> Split:
    if not len(train):
        first = pd.Timestamp(int(rows.opens[test[0]]), unit="ms", tz="UTC")
        message = f"No row is left to train for the test part that begins at {first}; use fewer splits or a shorter embargo."
        raise InvalidRequest({"n_splits": [message]})
    return Split(rows.positions[train], rows.positions[test])
