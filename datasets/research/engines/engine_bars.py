"""The bars that an engine may trade on, and the error for an engine that is not installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType

import numpy as np
import pandas as pd

from datasets.bars import PRICE_COLUMNS
from datasets.errors import InvalidRequest
from datasets.research.arguments import VALUE_COLUMNS
from datasets.research.dataframes import as_frame, drop_forming, index_ms, require_unique

# Series that differ in one of these must not be traded side by side.
BASIS = ("adjustment", "session", "timeframe")


def require_bars(bars: pd.DataFrame, *, name: str = "bars") -> pd.DataFrame:
    """Return the columns `open high low close volume` of closed bars; `volume` where it is there.

    Parameters
    ----------
    bars
        From `load` or `resample`. Without `attrs` nothing says whether the last bar is forming.
    name
        What error messages call the bars.

    Returns
    -------
    pd.DataFrame
        float64 columns on the same index, datetime64[UTC]; NaN for a volume that is not known.

    Raises
    ------
    InvalidRequest
        There are no bars; a price column is missing or has NaN; the times are naive or do not
        strictly increase; the last bar is still forming.
    """
    frame = as_frame(bars, name)
    require_unique(frame)
    missing = [column for column in PRICE_COLUMNS if column not in frame.columns]
    if missing:
        raise InvalidRequest({name: [f"The bars have no column {missing[0]}."]})
    index_ms(frame)
    if pd.DatetimeIndex(frame.index).tz is None:
        message = "The times of the bars have no time zone: bars.tz_localize('UTC') gives them one."
        raise InvalidRequest({name: [message]})
    if frame.empty:
        raise InvalidRequest({name: ["There are no bars."]})
    _require_closed(frame, name)
    holes = frame[list(PRICE_COLUMNS)].isna().any(axis="columns").to_numpy()
    if holes.any():
        first = frame.index[int(np.argmax(holes))]
        message = f"The bar of {first} has no price: an engine would trade at NaN. Drop such rows."
        raise InvalidRequest({name: [message]})
    return frame[[column for column in VALUE_COLUMNS if column in frame.columns]]


def _require_closed(bars: pd.DataFrame, name: str) -> None:
    if len(drop_forming(bars)) < len(bars):
        message = (
            f"The bar of {bars.index[-1]} was still forming when it was fetched, so its prices are "
            "not final. Load the bars without closed=False, or leave out the last row."
        )
        raise InvalidRequest({name: [message]})


def require_fact(bars: pd.DataFrame, name: str) -> str:
    """Return a fact of the bars' `attrs`; raise `InvalidRequest` where it is not known."""
    value = bars.attrs.get(name)
    if not value:
        message = (
            f"The bars do not say their {name}: their attrs are gone, for example after merge. "
            "Convert the bars that load or resample gave, or set bars.attrs = other.attrs."
        )
        raise InvalidRequest({"bars": [message]})
    return str(value)


def has_volume(bars: pd.DataFrame) -> bool:
    """Return whether any bar has a volume."""
    return "volume" in bars.columns and bool(bars["volume"].notna().any())


def require_volume(bars: pd.DataFrame, *, engine: str) -> None:
    """Raise `InvalidRequest` where a bar has no volume; for an engine that needs a number."""
    if "volume" not in bars.columns or bars["volume"].isna().any():
        message = (
            f"{engine} needs a volume in each bar, and not every bar has one. A market without "
            "published volume has none; bars.fillna({'volume': 0}) says that nothing was traded."
        )
        raise InvalidRequest({"bars": [message]})


def require_one_basis(frames: Mapping[str, pd.DataFrame]) -> None:
    """Raise `InvalidRequest` unless all series have the same adjustment, session and timeframe.

    `frames` maps the name of each series to its bars, with the `attrs` that `load` gives.
    """
    for fact in BASIS:
        values = {name: frame.attrs.get(fact) for name, frame in frames.items()}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{name}: {value or 'unknown'}" for name, value in values.items())
            message = f"The series differ in {fact} ({told}); load all of them with the same."
            raise InvalidRequest({"frames": [message]})


def import_engine(module: str, package: str) -> ModuleType:
    """Import an engine's module; raise `InvalidRequest` with the line that installs its package."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        message = f"{package} is not installed: pip install {package}"
        raise InvalidRequest({"engine": [message]}) from None
