"""A crossing of two averages in NautilusTrader."""

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model import Money, TraderId
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.trading.strategy import Strategy

from tvdatasets import load, nautilus_instrument, to_nautilus, write_nautilus


class Crossing(Strategy):
    def __init__(self, instrument, bar_type):
        super().__init__()
        self.instrument, self.bar_type = instrument, bar_type
        self.fast, self.slow = SimpleMovingAverage(10), SimpleMovingAverage(30)

    def on_start(self):
        for average in (self.fast, self.slow):
            self.register_indicator_for_bars(self.bar_type, average)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar):
        is_flat = self.portfolio.is_flat(self.instrument.id)
        if self.slow.initialized and is_flat and self.fast.value > self.slow.value:
            quantity = self.instrument.make_qty(100)
            self.submit_order(
                self.order_factory.market(self.instrument.id, OrderSide.BUY, quantity)
            )
        elif not is_flat and self.fast.value < self.slow.value:
            self.close_all_positions(self.instrument.id)


bars = load("NASDAQ:AAPL", "1D")
instrument = nautilus_instrument(bars)
data = to_nautilus(bars, instrument)

quiet = LoggingConfig(bypass_logging=True)
engine = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("TESTER-001"), logging=quiet))
money = Money(10_000, instrument.quote_currency)
engine.add_venue(
    instrument.id.venue, OmsType.NETTING, AccountType.CASH, [money], instrument.quote_currency
)
engine.add_instrument(instrument)
engine.add_data(data)
engine.add_strategy(Crossing(instrument, data[0].bar_type))
engine.run()

# For a study of many symbols: the bars in a catalog, which Nautilus reads piece by piece.
catalog = write_nautilus(bars, "catalog", instrument)
n_positions = len(engine.trader.generate_positions_report())
balance = engine.cache.accounts()[0].balance_total(instrument.quote_currency)
print(f"{len(catalog.bars())} bars, {n_positions} positions, {balance}")
