"""A data folder of freqtrade, read by freqtrade."""

from pathlib import Path

from freqtrade.data.history import load_pair_history

from tvdatasets import load, write_freqtrade

bars = load("BINANCE:BTCUSDT", "1h")
path = write_freqtrade(bars, "user_data/data")

candles = load_pair_history("BTC/USDT", "1h", Path("user_data/data/binance"))
print(
    f"{len(bars)} bars in {path.name}, {len(candles)} candles, the last closes at {candles['close'].iloc[-1]}"
)
