"""backtesting.py: the bars that a strategy sees in its last step."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from backtesting import Backtest, Strategy

from datasets.research import to_backtesting


class Idle(Strategy):
    def init(self) -> None:
        pass

    def next(self) -> None:
        pass


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    result = Backtest(to_backtesting(bars), Idle, cash=1e9).run()
    return result["_strategy"].data.df.rename(columns=str.lower)
