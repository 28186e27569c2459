"""PyneCore: the bars of its file, and the facts of the symbol beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pynecore.core.ohlcv import OHLCVReader
from pynecore.core.syminfo import SymInfo

from datasets.research import write_pynecore

COLUMNS = ["open", "high", "low", "close", "volume"]


def bars_back(bars: pd.DataFrame, folder: Path) -> pd.DataFrame:
    path = write_pynecore(bars, folder)
    with OHLCVReader(path) as reader:
        held = list(reader.read_from(reader.start_timestamp))
        assert reader.lossless_prices and reader.lossless_volume
    times = pd.to_datetime([bar.timestamp for bar in held], unit="ms", utc=True)
    back = pd.DataFrame([bar[1:6] for bar in held], index=times, columns=COLUMNS)
    facts = SymInfo.load_toml(path.with_suffix(".toml"))
    check_facts(facts, bars)
    back.attrs = tomllib.loads(path.with_suffix(".toml").read_text())["dataset"]
    return back


def check_facts(facts: SymInfo, bars: pd.DataFrame) -> None:
    """Compare what PyneCore reads with what the market of the case is."""
    starts = {(each.day, str(each.start), str(each.end)) for each in facts.opening_hours}
    if bars.attrs["symbol"] == "AAPL":
        assert starts == {(day, "09:30:00", "16:00:00") for day in range(5)}
        assert facts.session_corrections[pd.Timestamp("2025-12-25").date()] == ()
        # Adjusted prices lie between the market's ticks of a cent.
        assert (facts.prefix, facts.type, facts.mintick) == ("NASDAQ", "stock", 1e-6)
    if bars.attrs["symbol"] == "BTCUSDT":
        assert starts == {(day, "00:00:00", "23:59:59") for day in range(7)}
        assert (facts.basecurrency, facts.currency, facts.mintick) == ("BTC", "USDT", 0.01)
        assert facts.mincontract == 1e-5
    assert (facts.volumetype == "n/a") == (bars.attrs["symbol"] == "SPX")
    assert facts.timezone == bars.attrs["timezone"]


def refusals(bars: pd.DataFrame, folder: Path) -> dict[str, Callable[[], object]]:
    without_hours = bars.copy()
    without_hours.attrs |= {"session_hours": ""}
    return {
        "The feed sent no trading hours. Set bars.attrs": lambda: write_pynecore(
            without_hours, folder
        ),
        "A price has more than 8 decimals": lambda: write_pynecore(bars / 3, folder),
    }
