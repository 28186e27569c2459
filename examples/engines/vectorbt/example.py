"""A crossing of two averages in vectorbt."""

import vectorbt as vbt

from tvdatasets import load, to_vectorbt

bars = to_vectorbt(load("BINANCE:BTCUSDT", "1h"))
is_above = bars.Close.rolling(10).mean() > bars.Close.rolling(40).mean()
# A signal is known at the bar's close, so the order is filled at the opening of the next bar.
is_held = is_above.shift(1, fill_value=False)
portfolio = vbt.Portfolio.from_signals(
    bars.Close,
    entries=is_held,
    exits=~is_held,
    price=bars.Open,
    freq="1h",  # vectorbt does not take the length of a bar from the index
)
print(f"{len(bars)} bars, {portfolio.trades.count()} trades, {portfolio.total_return():.2%}")
