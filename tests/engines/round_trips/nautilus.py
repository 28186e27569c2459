"""NautilusTrader: the bars of a catalog on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from datasets.research import nautilus_instrument, to_nautilus, write_nautilus


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    write_nautilus(bars, folder)
    held = ParquetDataCatalog(str(folder)).bars()
    columns = ("open", "high", "low", "close", "volume")
    # The text of a price is exact; its float is made of an integer, with another last digit.
    rows = [[float(str(getattr(bar, name))) for name in columns] for bar in held]
    times = pd.to_datetime([bar.ts_event for bar in held], unit="ns", utc=True)
    return pd.DataFrame(rows, index=times, columns=list(columns))


def refusals(bars: pd.DataFrame, folder: Path) -> dict[str, Callable[[], object]]:
    of_today = nautilus_instrument(bars.round(2))
    return {
        "2 decimals, the precision of AAPL.NASDAQ, would change": lambda: to_nautilus(
            bars, of_today
        ),
        "already has bars of AAPL.NASDAQ-1-DAY": lambda: write_nautilus(bars, folder / "days"),
        "would have no trade at all": lambda: to_nautilus(bars.assign(volume=0.25)),
        "needs a volume in each bar": lambda: to_nautilus(bars.drop(columns="volume")),
    }
