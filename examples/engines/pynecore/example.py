"""A crossing of two averages in PyneCore: Pine Script in Python."""

from pathlib import Path

from pynecore.core.ohlcv import OHLCVReader
from pynecore.core.script_runner import ScriptRunner
from pynecore.core.syminfo import SymInfo

from tvdatasets import load, write_pynecore

SCRIPT = '''"""
@pyne
"""
from pynecore.lib import close, script, strategy, ta


@script.strategy("Crossing", initial_capital=1_000_000, default_qty_value=1)
def main():
    fast, slow = ta.sma(close, 10), ta.sma(close, 30)
    if ta.crossover(fast, slow):
        strategy.entry("long", strategy.long)
    if ta.crossunder(fast, slow):
        strategy.close("long")
'''

path = write_pynecore(load("BINANCE:BTCUSDT", "1h"), "data")
script = Path("data/crossing.py")
script.write_text(SCRIPT)
facts = SymInfo.load_toml(path.with_suffix(".toml"))
with OHLCVReader(path) as reader:
    bars = list(reader.read_from(reader.start_timestamp))
runner = ScriptRunner(
    script, bars, facts, last_bar_index=len(bars) - 1, lossless_volume=True, lossless_prices=True
)
trades = [trade for _, _, closed in runner.run_iter() for trade in closed]
profit = sum(trade.profit for trade in trades)
print(f"{len(bars)} bars, {len(trades)} trades, {profit:,.2f} {facts.currency}")
