"""Bars for PyneCore: its file of bars, and the file with the facts of the symbol beside it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasets.bars import PRICE_COLUMNS, BarLength
from datasets.calendars import Calendar
from datasets.calendars.session_strings import (
    DayHours,
    Period,
    parse_corrections,
    parse_dates,
)
from datasets.errors import InvalidRequest
from datasets.research.arguments import VALUE_COLUMNS
from datasets.research.dataframes import to_ms
from datasets.research.engines.engine_bars import (
    has_volume,
    import_engine,
    require_bars,
    require_fact,
)

_PACKAGE = "pynesys-pynecore"
_DAY = 1440
# The symbol's file has eight decimals.
_MOST_DECIMALS = 8
_TYPES = (
    "stock", "fund", "dr", "right", "bond", "warrant", "structured", "index", "forex", "futures",
    "spread", "economic", "fundamental", "crypto", "spot", "swap", "option", "commodity",
)  # fmt: skip
_COINS = ("crypto", "spot", "swap")
_FACTS = ("full_symbol", "timeframe", "session", "adjustment", "content_hash", "fetched_at")


def write_pynecore(bars: pd.DataFrame, folder: str | Path) -> Path:
    """Write bars as `EXCHANGE_SYMBOL_PERIOD.ohlcv` and `.toml`, and return the path of the bars.

    Parameters
    ----------
    bars
        From `load` or `resample`, with the `attrs`: symbol, currency and trading hours come from
        there.
    folder
        Folder of both files; it is made where it does not exist. Files of the same names are
        replaced, each at once.

    Returns
    -------
    Path
        The `.ohlcv` file: UNIX ms of the openings, float64 prices and volumes, NaN for a volume
        that the exchange does not give. The `.toml` file has PyneCore's `SymInfo`, and in the
        section `dataset` what the loader's `attrs` say of the adjustment and the origin.

    Raises
    ------
    InvalidRequest
        PyneCore is not installed; the `attrs` are gone; the trading hours are not known; no eight
        decimals hold the prices; or `require_bars` refuses the bars.
    """
    frame = require_bars(bars).reindex(columns=list(VALUE_COLUMNS))
    length = BarLength.parse(require_fact(bars, "timeframe"))
    # As in Pine: minutes, or `1D`, `1W`, `1M`.
    period = length.value if length.minutes is None else str(length.minutes)
    minmove, pricescale = _tick_of(bars, frame)
    ohlcv = import_engine("pynecore.core.ohlcv", _PACKAGE)
    bar = import_engine("pynecore.types.ohlcv", _PACKAGE).OHLCV
    name = "_".join(
        re.sub(r"[^\w.!-]", "-", require_fact(bars, each)) for each in ("exchange", "symbol")
    )
    path = Path(folder) / f"{name}_{period}.ohlcv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        made = Path(temporary) / path.name
        with ohlcv.OHLCVWriter(made, period, minmove=minmove, pricescale=pricescale) as writer:
            with writer.batched():
                times = to_ms(pd.DatetimeIndex(frame.index)).tolist()
                for at, row in zip(times, frame.to_numpy().tolist(), strict=True):
                    writer.write(bar(at, *row))
            step = writer.analyzed_qty_step
        facts = made.with_suffix(".toml")
        _symbol_facts(bars, period, minmove, pricescale, step).save_toml(facts)
        lines = "".join(f'{each} = "{_plain(bars.attrs.get(each))}"\n' for each in _FACTS)
        facts.write_text(f"{facts.read_text()}\n[dataset]\n{lines}")
        facts.replace(path.with_suffix(".toml"))
        made.replace(path)
    return path


def _tick_of(bars: pd.DataFrame, frame: pd.DataFrame) -> tuple[int, int]:
    """Return `minmove` and `pricescale`: the market's tick, or where the prices lie between
    its ticks, as adjusted ones do, a decimal step that holds them all.
    """
    prices = frame[list(PRICE_COLUMNS)].to_numpy()
    minmove, pricescale = (bars.attrs.get(name) for name in ("minmov", "pricescale"))
    if minmove and pricescale:
        ticks = np.round(prices * pricescale / minmove)
        if (np.abs(ticks * minmove / pricescale - prices) <= 1e-9 * np.abs(prices)).all():
            return int(minmove), int(pricescale)
    for decimals in range(_MOST_DECIMALS + 1):
        if (np.round(prices, decimals) == prices).all():
            return 1, 10**decimals
    message = (
        f"A price has more than {_MOST_DECIMALS} decimals, the most of PyneCore's symbol file."
    )
    raise InvalidRequest({"bars": [f"{message} Round the prices: bars.round({_MOST_DECIMALS})."]})


def _symbol_facts(
    bars: pd.DataFrame, period: str, minmove: int, pricescale: int, step: float | None
) -> Any:
    """Return PyneCore's `SymInfo` of the bars; `step` is the smallest volume step in the bars."""
    module = import_engine("pynecore.core.syminfo", _PACKAGE)
    calendar = Calendar.of({str(name): value for name, value in bars.attrs.items()})
    if calendar.session_hours is None or not calendar.is_known:
        message = f"{calendar.why_unknown} Set bars.attrs['session_hours'], for example to '24x7'."
        raise InvalidRequest({"bars": [message]})
    week = calendar.session_hours.eras[-1][1].days
    hours = [
        module.SymInfoInterval(day, start, end)
        for weekday, of_day in enumerate(week)
        for day, start, end in _intervals(weekday, of_day)
    ]
    corrections = {
        day: tuple(module.SymInfoInterval(*each) for each in _intervals(day.weekday(), of_day))
        for day, of_day in _other_days(calendar, week).items()
    }
    kind, symbol = str(bars.attrs.get("type", "")), require_fact(bars, "symbol")
    currency, session = str(bars.attrs.get("currency", "")), require_fact(bars, "session")
    is_pair = currency and symbol.endswith(currency) and symbol != currency
    base = symbol.removesuffix(currency) if is_pair and kind in (*_COINS, "forex") else None
    return module.SymInfo(
        prefix=require_fact(bars, "exchange"),
        description=_plain(bars.attrs.get("description")),
        ticker=symbol,
        currency=currency,
        basecurrency=base,
        period=period,
        type=kind if kind in _TYPES else "other",
        volumetype="base" if has_volume(bars) else "n/a",
        mintick=minmove / pricescale,
        pricescale=pricescale,
        minmove=minmove,
        pointvalue=1.0,
        mincontract=step or module.default_mincontract("crypto" if kind in _COINS else kind, base),
        opening_hours=hours,
        session_starts=[module.SymInfoSession(each.day, each.start) for each in hours],
        session_ends=[module.SymInfoSession(each.day, each.end) for each in hours],
        session_corrections=corrections if session == "regular" else {},
        extended_hours=hours if session == "extended" else [],
        extended_session_corrections=corrections if session == "extended" else {},
        session=session,
        timezone=calendar.timezone,
    )


def _intervals(weekday: int, hours: DayHours | None) -> Iterable[tuple[int, time, time]]:
    """Yield weekday, start and end of each period, under the weekday on which it starts.

    PyneCore takes an end that is not after the start as one of the next day, and a whole day as
    one that ends a second before midnight.
    """
    periods: tuple[Period, ...] = hours.periods if hours else ()
    for start, end in periods:
        begin, finish = _time_of(start), _time_of(end)
        is_whole_day = begin == finish == time(0)
        yield (weekday + start // _DAY) % 7, begin, time(23, 59, 59) if is_whole_day else finish


def _time_of(minute: int) -> time:
    return time(minute % _DAY // 60, minute % 60)


def _other_days(
    calendar: Calendar, week: tuple[DayHours | None, ...]
) -> dict[date, DayHours | None]:
    """Return the hours of holidays (None) and of days with other hours, by date.

    None are returned for a market with sessions that begin on the evening before: PyneCore counts
    such a session to the date of its beginning, and the feed's lists to the trading date.
    """
    if any(start < 0 for of_day in week if of_day for start, _ in of_day.periods):
        return {}
    days: dict[int, DayHours | None] = dict.fromkeys(parse_dates(calendar.holidays))
    days |= parse_corrections(calendar.corrections).days
    epoch = date(1970, 1, 1).toordinal()
    return {date.fromordinal(epoch + day): hours for day, hours in sorted(days.items())}


def _plain(text: object) -> str:
    """Return a text without the signs that PyneCore does not quote in its file."""
    return re.sub(r"[\"\\\x00-\x1f\x7f]", "'", str(text or ""))
