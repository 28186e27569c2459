"""Two feeds in backtrader: hours, and the days that have ended by then."""

import backtrader as bt

from tvdatasets import load, resample, to_backtrader


class BuyAboveTheAverage(bt.Strategy):
    def __init__(self):
        self.hours, self.days = self.datas
        self.average = bt.indicators.SMA(self.days.close, period=5)

    def next(self):
        is_above = self.hours.close[0] > self.average[0]
        if is_above and not self.position:
            self.order_target_percent(self.hours, 0.9)
        elif self.position and not is_above:
            self.close(self.hours)


hours = load("BINANCE:BTCUSDT", "1h")
cerebro = bt.Cerebro()
cerebro.broker.setcash(1_000_000)
cerebro.adddata(to_backtrader(hours))
cerebro.adddata(to_backtrader(resample(hours, "1D"), name="days"))
cerebro.addstrategy(BuyAboveTheAverage)
cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
(result,) = cerebro.run()
n_trades = result.analyzers.trades.get_analysis().total.total
print(f"{len(hours)} bars, {n_trades} trades, {cerebro.broker.getvalue():,.0f} USDT")
