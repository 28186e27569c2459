"""Bars for vectorbt."""

from __future__ import annotations

import pandas as pd

from datasets.research.engines.engine_bars import has_volume, require_bars


def to_vectorbt(bars: pd.DataFrame) -> pd.DataFrame:
    """Return bars for vectorbt: columns `Open High Low Close Volume`, the bar's opening in UTC.

    `Volume` is left out where no bar has a volume, and NaN for single bars without a volume.
    Raises `InvalidRequest` for bars that `require_bars` refuses.
    """
    frame = require_bars(bars)
    if "volume" in frame.columns and not has_volume(frame):
        frame = frame.drop(columns="volume")
    return frame.rename(columns=str.capitalize)
