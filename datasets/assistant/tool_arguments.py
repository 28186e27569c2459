"""Arguments that several tools have, with the words that an assistant reads about them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from datasets.bars import DatasetKey
from datasets.research.arguments import parse_key

Symbol = Annotated[
    str, Field(description="EXCHANGE:SYMBOL, such as NASDAQ:AAPL or BINANCE:BTCUSDT")
]
TimeframeName = Annotated[
    str,
    Field(
        description="1 3 5 15 30 45 (minutes), 1h 2h 3h 4h, 1D 1W 1M; 1M is a month, 1m a minute"
    ),
]
Session = Annotated[str, Field(description="regular or extended trading hours")]
Adjustment = Annotated[str, Field(description="splits, dividends or none")]
Source = Annotated[
    str | None,
    Field(
        description="tradingview, sample (synthetic) or imported; by default the best that exists"
    ),
]
Start = Annotated[str | None, Field(description="first opening instant, ISO 8601, UTC; inclusive")]
End = Annotated[
    str | None, Field(description="end of the opening instants, ISO 8601, UTC; exclusive")
]
NewestBars = Annotated[
    int | None, Field(description="number of bars: only the newest ones (of the range)")
]


def key_of(symbol: str, timeframe: str, session: str, adjustment: str) -> DatasetKey:
    """Return the key of a series; raise `InvalidRequest` that says what is allowed."""
    return parse_key(None, symbol, timeframe, n_bars=None, session=session, adjustment=adjustment)
