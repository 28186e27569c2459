"""Prices and volumes of bars for engines that store a fixed number of decimals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from datasets.bars import PRICE_COLUMNS
from datasets.errors import InvalidRequest

# A larger change of a price would change returns that a backtest counts.
_MOST_CHANGE = 0.001


def with_decimals(
    bars: pd.DataFrame, *, prices: int, volumes: int | None, engine: str
) -> pd.DataFrame:
    """Return bars with rounded prices and volumes.

    Parameters
    ----------
    bars
        Columns `open high low close` and, unless `volumes` is None, `volume`, float64.
    prices, volumes
        Numbers of decimals; `volumes` None leaves the volumes as they are.
    engine
        The name of the engine, for the error messages.

    Raises
    ------
    InvalidRequest
        A price would change by more than 0.1 %, or a volume above 0 would become 0.
    """
    rounded = bars.copy()
    names = list(PRICE_COLUMNS)
    rounded[names] = bars[names].round(prices)
    changes = (rounded[names] - bars[names]).abs() > _MOST_CHANGE * bars[names].abs()
    if changes.to_numpy().any():
        first = int(np.argmax(changes.to_numpy().any(axis=1)))
        price = bars[names].iloc[first].min()
        message = (
            f"{engine} stores {prices} decimals of a price: that would change {price:.10g} in the bar "
            f"of {bars.index[first]} by more than 0.1 %. Load bars that begin later, or multiply all "
            "prices by 1000 or more."
        )
        raise InvalidRequest({"bars": [message]})
    if volumes is not None:
        rounded["volume"] = bars["volume"].round(volumes)
        lost = ((rounded["volume"] == 0) & (bars["volume"] > 0)).to_numpy()
        if lost.any():
            first = int(np.argmax(lost))
            message = (
                f"{engine} stores {volumes or 'no'} decimals of a volume: the bar of "
                f"{bars.index[first]} with {bars['volume'].iloc[first]:.10g} would have no trade at "
                "all. Multiply all volumes by 1000 or more."
            )
            raise InvalidRequest({"bars": [message]})
    return rounded
