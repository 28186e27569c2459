"""Bars as the data folder of freqtrade: one feather file for each pair and timeframe."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather

from datasets.bars import BarLength
from datasets.errors import InvalidRequest
from datasets.research.dataframes import to_ms
from datasets.research.engines.engine_bars import require_bars, require_volume
from datasets.storage import put

_UNITS = {"m": "m", "D": "d", "W": "w", "M": "Mo"}
_TIME = pa.timestamp("ms", tz="UTC")


def write_freqtrade(bars: pd.DataFrame, folder: str | Path) -> Path:
    """Write bars to a data folder of freqtrade; return the file.

    Parameters
    ----------
    bars
        From `load`, of a coin's spot market or perpetual contract, with a volume in each bar.
    folder
        freqtrade's `user_data/data`. An earlier file of the same pair and timeframe is replaced.

    Returns
    -------
    Path
        `binance/BTC_USDT-1h.feather`, or `binance/futures/BTC_USDT_USDT-1h-futures.feather`, with
        the columns `date` (the bar's opening, timestamp[ms, UTC]), `open high low close volume`.

    Raises
    ------
    InvalidRequest
        The market has trading hours: freqtrade fills every interval without a bar, so it would
        trade in closed hours; the pair's two currencies are not known; or the errors of
        `require_bars` and `require_volume`.
    """
    frame = require_bars(bars)
    pair, is_future = _pair(bars)
    require_volume(frame, engine="freqtrade")
    length = BarLength.parse(str(bars.attrs.get("timeframe", "")))
    name = f"{length.count}{_UNITS[length.unit]}"
    if length.minutes is not None and length.minutes % 60 == 0:
        name = f"{length.minutes // 60}h"
    target = Path(folder) / str(bars.attrs["exchange"]).lower()
    path = target / f"{pair}-{name}.feather"
    if is_future:
        path = target / "futures" / f"{pair}-{name}-futures.feather"
    path.parent.mkdir(parents=True, exist_ok=True)
    times = pa.array(to_ms(pd.DatetimeIndex(frame.index)), _TIME)
    numbers = [pa.array(frame[name].to_numpy(), pa.float64()) for name in frame.columns]
    content = io.BytesIO()
    table = pa.Table.from_arrays([times, *numbers], names=["date", *frame.columns])
    pyarrow.feather.write_feather(table, content, compression="lz4")
    put(path, content.getvalue())
    return path


def _pair(bars: pd.DataFrame) -> tuple[str, bool]:
    """Return the pair in freqtrade's file names, and whether it is a perpetual contract."""
    symbol, currency, kind, hours = (
        str(bars.attrs.get(name, "")) for name in ("symbol", "currency", "type", "session_hours")
    )
    base = symbol.removesuffix(".P").removesuffix(currency)
    is_pair = bool(currency) and base and base + currency == symbol.removesuffix(".P")
    is_future = kind == "swap"
    if hours != "24x7" or kind not in ("spot", "crypto", "swap") or not is_pair:
        message = (
            f"{bars.attrs.get('full_symbol', 'The instrument')} is of the type {kind or 'unknown'!r}: "
            "freqtrade trades coins day and night, and fills each interval without a bar. Only spot "
            "markets and perpetual contracts such as BTCUSDT and BTCUSDT.P fit."
        )
        raise InvalidRequest({"bars": [message]})
    return f"{base}_{currency}" + (f"_{currency}" if is_future else ""), is_future
