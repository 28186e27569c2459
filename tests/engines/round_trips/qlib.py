"""qlib: the features of a data folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import qlib
from qlib.data import D

from datasets.research import write_qlib


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    write_qlib({"A": bars}, folder)
    qlib.init(provider_uri=str(folder), kernels=1)
    names = ["open", "high", "low", "close", "volume"]
    freq = "day" if bars.attrs["timeframe"] == "1D" else "60min"
    held = D.features(["A"], [f"${name}" for name in names], freq=freq).droplevel("instrument")
    return held.set_axis(names, axis="columns").dropna(axis="columns", how="all").astype(float)
