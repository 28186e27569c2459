"""Loaded bars as arrays of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.bars import PRICE_COLUMNS
from datasets.errors import InvalidRequest
from datasets.research.arguments import VALUE_COLUMNS
from datasets.research.dataframes import require_unique, to_ms


def to_numpy(bars: pd.DataFrame) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]]:
    """Return the openings (datetime64[ms], UTC) and a float64 array of shape (n, 5): open to volume."""
    _require(bars)
    if "volume" not in bars.columns:
        raise InvalidRequest({"bars": ["The bars have no column volume."]})
    values: npt.NDArray[Any] = np.ascontiguousarray(bars[list(VALUE_COLUMNS)].to_numpy())
    return to_ms(_index(bars)).view("M8[ms]"), values


def _require(bars: pd.DataFrame) -> None:
    require_unique(bars)
    missing = [name for name in PRICE_COLUMNS if name not in bars.columns]
    if missing:
        raise InvalidRequest({"bars": [f"The bars have no column {missing[0]}."]})


def _index(bars: pd.DataFrame) -> pd.DatetimeIndex:
    if not isinstance(bars.index, pd.DatetimeIndex):
        raise InvalidRequest({"bars": ["The bars' index is not one of times; use load()."]})
    return bars.index
