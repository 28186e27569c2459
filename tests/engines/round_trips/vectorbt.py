"""vectorbt: the bars of its accessor."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import vectorbt  # noqa: F401 (it gives frames their accessor `vbt`)

from datasets.research import to_vectorbt


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    accessor = to_vectorbt(bars).vbt.ohlcv(freq="1h")
    names = ["open", "high", "low", "close", "volume"]
    columns = {name: getattr(accessor, name) for name in names}
    back = pd.DataFrame({name: each for name, each in columns.items() if each is not None})
    back.index = accessor.wrapper.index
    back.attrs = accessor.obj.attrs
    return back
