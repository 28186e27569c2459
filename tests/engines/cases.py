"""The bars that each engine gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One dataset, with the sample feed's bars."""

    symbol: str
    timeframe: str
    is_forming: bool = False


CASES = {
    # Prices with six decimals and volumes with fractions, as after two splits.
    "days": Case("NASDAQ:AAPL", "1D"),
    "hours": Case("BINANCE:BTCUSDT", "1h"),
    # A market without volume.
    "index": Case("SP:SPX", "1h"),
    "forming": Case("BINANCE:BTCUSDT", "15", is_forming=True),
}
