"""A crossing of two averages in backtesting.py."""

from backtesting import Backtest, Strategy
from backtesting.lib import crossover

from tvdatasets import load, to_backtesting


def average(values, n_bars):
    return values.s.rolling(n_bars).mean()


class Crossing(Strategy):
    def init(self):
        self.fast = self.I(average, self.data.Close, 10)
        self.slow = self.I(average, self.data.Close, 30)

    def next(self):
        if crossover(self.fast, self.slow):
            self.buy()
        elif crossover(self.slow, self.fast):
            self.position.close()


bars = load("NASDAQ:AAPL", "1D")
result = Backtest(to_backtesting(bars), Crossing, cash=10_000, finalize_trades=True).run()
print(f"{len(bars)} bars, {result['# Trades']} trades, {result['Return [%]']:.2f} %")
