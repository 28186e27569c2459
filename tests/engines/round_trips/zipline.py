"""zipline-reloaded: the bars of an ingested bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from zipline.data import bundles
from zipline.utils.calendar_utils import get_calendar

from datasets.research import register_zipline


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    environ = {"ZIPLINE_ROOT": str(folder)}
    register_zipline("dataset", {"A": bars.iloc[5:]})
    assert len(get_calendar("dataset").sessions) == len(bars) - 5
    # The second registration replaces the first, and its calendar.
    halted = bars.drop(bars.index[10])
    register_zipline("dataset", {"A": bars, "B": halted}, fill=True)
    bundles.ingest("dataset", environ)
    with bundles.load("dataset", environ) as held:
        reader = held.equity_daily_bar_reader
        names, days = ["open", "high", "low", "close", "volume"], reader.sessions
        arrays = reader.load_raw_arrays(names, days[0], days[-1], [0, 1])
        assert np.isnan(arrays[3][10, 1])
        values = np.column_stack([array[:, 0] for array in arrays])
        return pd.DataFrame(values.astype(float), index=days, columns=names)


def refusals(bars: pd.DataFrame, folder: Path) -> dict[str, Callable[[], object]]:
    other = bars.copy()
    other.attrs |= {"adjustment": "none"}
    frames = {
        "has no bar on 1 sessions": {"A": bars, "B": bars.drop(bars.index[10])},
        "differ in adjustment": {"A": bars, "B": other},
        "by more than 0.1 %": {"A": bars / 1000},
        "would have no trade at all": {"A": bars.assign(volume=0.25)},
        "zipline would replace the bar by zeros": {"A": bars * 10_000_000},
        "needs a volume in each bar": {"A": bars.drop(columns="volume")},
    }
    return {words: lambda each=each: register_zipline("x", each) for words, each in frames.items()}
