"""backtrader: the bars that a strategy sees, one by one."""

from __future__ import annotations

from pathlib import Path

import backtrader
import pandas as pd

from datasets.research import to_backtrader

LINES = ["open", "high", "low", "close", "volume"]


class Recorder(backtrader.Strategy):
    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.times: list[pd.Timestamp] = []

    def next(self) -> None:
        self.times.append(pd.Timestamp(self.data.datetime.datetime()))
        self.rows.append([getattr(self.data, name)[0] for name in LINES])


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    cerebro = backtrader.Cerebro(stdstats=False)
    cerebro.adddata(to_backtrader(bars))
    cerebro.addstrategy(Recorder)
    (strategy,) = cerebro.run()
    back = pd.DataFrame(strategy.rows, index=pd.DatetimeIndex(strategy.times), columns=LINES)
    back.attrs = dict(strategy.data.p.dataname.attrs)
    return back
