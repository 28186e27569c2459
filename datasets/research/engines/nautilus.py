"""Bars for NautilusTrader: `Bar` objects, and a `ParquetDataCatalog` with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.bars import PRICE_COLUMNS, BarLength
from datasets.errors import FileCorrupt, InvalidRequest
from datasets.research.dataframes import close_times, to_ms
from datasets.research.engines.engine_bars import import_engine, require_bars, require_volume
from datasets.research.engines.fixed_decimals import with_decimals

_NS = 1_000_000
_AGGREGATIONS = {"D": "DAY", "W": "WEEK", "M": "MONTH"}
_SHARES = ("stock", "fund", "dr")
_PAIRS = ("spot", "crypto", "forex")


def nautilus_instrument(bars: pd.DataFrame) -> Any:
    """Return the `Equity` or the `CurrencyPair` that the bars belong to.

    Parameters
    ----------
    bars
        From `load`, of a share, a fund, or a pair of currencies.

    Returns
    -------
    Instrument
        Its id is `SYMBOL.EXCHANGE`. Its price has as many decimals as the bars need: the feed's
        `pricescale` is that of today's prices, and adjusted prices have more decimals.

    Raises
    ------
    InvalidRequest
        Nautilus is not installed; the bars are of another type of instrument, or no number of
        decimals holds their prices; or `require_bars` refuses them.
    """
    model = import_engine("nautilus_trader.model", "nautilus_trader")
    instruments = import_engine("nautilus_trader.model.instruments", "nautilus_trader")
    frame = require_bars(bars)
    kind, symbol, currency = (
        str(bars.attrs.get(name, "")) for name in ("type", "symbol", "currency")
    )
    decimals = _decimals(frame[list(PRICE_COLUMNS)].to_numpy(), "price")
    usual = {
        "instrument_id": _instrument_id(bars),
        "raw_symbol": model.Symbol(symbol),
        "price_precision": decimals,
        "price_increment": model.Price(10.0**-decimals, decimals),
        "ts_event": 0,
        "ts_init": 0,
    }
    if kind in _SHARES and currency:
        money = model.Currency.from_str(currency)
        return instruments.Equity(**usual, currency=money, lot_size=model.Quantity(1, 0))
    if kind in _PAIRS and currency and symbol.endswith(currency) and symbol != currency:
        require_volume(frame, engine="Nautilus")
        size = _decimals(frame["volume"].to_numpy(), "volume")
        return instruments.CurrencyPair(
            **usual,
            base_currency=model.Currency.from_str(symbol.removesuffix(currency)),
            quote_currency=model.Currency.from_str(currency),
            size_precision=size,
            size_increment=model.Quantity(10.0**-size, size),
        )
    message = (
        f"{bars.attrs.get('full_symbol', 'The instrument')} is of the type {kind or 'unknown'!r}: "
        "only a share, a fund or a pair of currencies says all that Nautilus needs. Make the "
        "instrument of Nautilus yourself, and pass it as instrument=."
    )
    raise InvalidRequest({"instrument": [message]})


def to_nautilus(bars: pd.DataFrame, instrument: Any = None) -> list[Any]:
    """Return bars as `nautilus_trader.model.data.Bar` objects, stamped at their close.

    Parameters
    ----------
    bars
        From `load` or `resample`, with a volume in each bar.
    instrument
        An instrument of Nautilus; that of `nautilus_instrument` by default.

    Returns
    -------
    list of Bar
        `ts_event` and `ts_init` are the bar's `close_time` in UNIX nanoseconds: Nautilus delivers
        a bar at that instant. The type is `SYMBOL.EXCHANGE-1-DAY-LAST-EXTERNAL`. Volumes of shares
        are rounded to whole ones.

    Raises
    ------
    InvalidRequest
        The instrument's decimals would change a price, or make a volume 0; a bar has no volume;
        Nautilus has no bars of this length; or the errors of `nautilus_instrument`.
    """
    model = import_engine("nautilus_trader.model", "nautilus_trader")
    if instrument is None:
        instrument = nautilus_instrument(bars)
    frame = require_bars(bars)
    require_volume(frame, engine="Nautilus")
    prices = frame[list(PRICE_COLUMNS)].to_numpy()
    decimals, size = instrument.price_precision, instrument.size_precision
    if not _holds(prices, decimals):
        n_changed = int((np.round(prices[:, 3], decimals) != prices[:, 3]).sum())
        message = (
            f"{decimals} decimals, the precision of {instrument.id}, would change {n_changed} of "
            f"{len(frame)} closes. Use nautilus_instrument(bars), which counts the decimals."
        )
        raise InvalidRequest({"instrument": [message]})
    frame = with_decimals(frame, prices=decimals, volumes=size, engine="Nautilus")
    kind = _bar_type(bars, instrument.id)
    closes = to_ms(pd.DatetimeIndex(close_times(bars))) * _NS
    price, quantity, bar = model.Price, model.Quantity, model.Bar
    return [
        bar(kind, *(price(value, decimals) for value in row), quantity(volume, size), at, at)
        for row, volume, at in zip(
            prices.tolist(), frame["volume"].tolist(), closes.tolist(), strict=True
        )
    ]


def write_nautilus(bars: pd.DataFrame, folder: str | Path, instrument: Any = None) -> Any:
    """Write the instrument and its bars to a `ParquetDataCatalog`, and return the catalog.

    Parameters
    ----------
    bars, instrument
        As for `to_nautilus`.
    folder
        The catalog's folder; an existing catalog keeps its other series.

    Raises
    ------
    InvalidRequest
        The catalog already has bars of this type: nothing in it says how they are adjusted; or
        the errors of `to_nautilus`.
    FileCorrupt
        The catalog does not give back the bars that were written.
    """
    module = import_engine("nautilus_trader.persistence.catalog", "nautilus_trader")
    if instrument is None:
        instrument = nautilus_instrument(bars)
    made = to_nautilus(bars, instrument)
    catalog, kind = module.ParquetDataCatalog(str(folder)), str(made[0].bar_type)
    # Nautilus compares intervals only after it has written the file.
    if catalog.get_intervals(type(made[0]), kind):
        message = (
            f"The catalog in {folder} already has bars of {kind}. They may be adjusted in another "
            "way, and a bar must not stand in it twice: delete them, or use another folder."
        )
        raise InvalidRequest({"folder": [message]})
    catalog.write_data([instrument])
    catalog.write_data(made)
    n_held = len(catalog.bars(bar_types=[kind]))
    if n_held != len(made):
        raise FileCorrupt(f"The catalog in {folder} holds {n_held} of {len(made)} bars of {kind}.")
    return catalog


def _instrument_id(bars: pd.DataFrame) -> Any:
    model = import_engine("nautilus_trader.model", "nautilus_trader")
    symbol, exchange = (str(bars.attrs.get(name, "")) for name in ("symbol", "exchange"))
    if not symbol or not exchange:
        message = "The bars do not say their symbol: their attrs are gone. Use bars of load()."
        raise InvalidRequest({"bars": [message]})
    return model.InstrumentId(model.Symbol(symbol), model.Venue(exchange))


def _bar_type(bars: pd.DataFrame, instrument_id: Any) -> Any:
    length = BarLength.parse(str(bars.attrs.get("timeframe", "")))
    step, unit = length.count, _AGGREGATIONS.get(length.unit, "MINUTE")
    if length.minutes is not None:
        step, unit = length.minutes, "MINUTE"
        if step % 60 == 0:
            step, unit = step // 60, "HOUR"
    model = import_engine("nautilus_trader.model", "nautilus_trader")
    enums = import_engine("nautilus_trader.model.enums", "nautilus_trader")
    try:
        length_of_bars = model.BarSpecification(
            step, enums.BarAggregation[unit], enums.PriceType.LAST
        )
        return model.BarType(instrument_id, length_of_bars, enums.AggregationSource.EXTERNAL)
    except ValueError as error:
        message = f"Nautilus has no bars of {length.label}: {error}"
        raise InvalidRequest({"bars": [message]}) from error


def _decimals(values: npt.NDArray[np.float64], name: str) -> int:
    """Return the smallest number of decimals that holds all values."""
    most = import_engine("nautilus_trader.model.objects", "nautilus_trader").FIXED_PRECISION
    for decimals in range(most + 1):
        if _holds(values, decimals):
            return decimals
    raise InvalidRequest(
        {"bars": [f"A {name} has more than {most} decimals, the most of Nautilus."]}
    )


def _holds(values: npt.NDArray[np.float64], decimals: int) -> bool:
    return bool((np.round(values, decimals) == values).all())
