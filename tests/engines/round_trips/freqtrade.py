"""freqtrade: the candles of a data folder, by freqtrade's own loader."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from freqtrade.data.history import load_pair_history

from datasets.research import write_freqtrade


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    path = write_freqtrade(bars, folder)
    return load_pair_history("BTC/USDT", bars.attrs["timeframe"], path.parent).set_index("date")
