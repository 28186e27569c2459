"""A crossing of two averages in zipline-reloaded."""

import pandas as pd
from zipline import run_algorithm
from zipline.api import order_target_percent, symbol
from zipline.data import bundles
from zipline.utils.calendar_utils import get_calendar

from tvdatasets import load, register_zipline

# These two lines stand in `extension.py` where the commands of zipline are used.
bars = load("NASDAQ:AAPL", "1D")
register_zipline("tradingview", {"AAPL": bars})
bundles.ingest("tradingview")


def initialize(context):
    context.share, context.n_trades, context.is_held = symbol("AAPL"), 0, False


def handle_data(context, data):
    closes = data.history(context.share, "close", 30, "1d")
    is_up = closes.iloc[-10:].mean() > closes.mean()
    if is_up != context.is_held:
        order_target_percent(context.share, 0.9 if is_up else 0)
        context.n_trades, context.is_held = context.n_trades + 1, is_up


calendar = get_calendar("tradingview")
result = run_algorithm(
    start=calendar.sessions[30],
    end=calendar.sessions[-1],
    initialize=initialize,
    handle_data=handle_data,
    capital_base=10_000,
    bundle="tradingview",
    trading_calendar=calendar,
    benchmark_returns=pd.Series(0.0, index=calendar.sessions),
)
change = result["portfolio_value"].iloc[-1] / 10_000 - 1
n_trades = int(result["orders"].map(len).gt(0).sum())
print(f"{len(bars)} bars, {n_trades} days with orders, {change:.2%}")
