"""Daily bars as a bundle of zipline-reloaded, with a trading calendar of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from datasets.errors import InvalidRequest
from datasets.research.engines.engine_bars import (
    import_engine,
    require_bars,
    require_one_basis,
    require_volume,
)
from datasets.research.engines.fixed_decimals import with_decimals
from datasets.research.market_hours import sessions, trading_day

_PACKAGE = "zipline-reloaded"
# zipline stores thousandths of a price, and whole shares, as 32 bits without a sign.
_DECIMALS = 3
_LARGEST = 2**32 - 1


def register_zipline(name: str, frames: Mapping[str, pd.DataFrame], *, fill: bool = False) -> None:
    """Register daily bars as a bundle of zipline, and their sessions as a calendar of the same name.

    Call it in `extension.py` of zipline; `zipline ingest -b NAME` writes the bundle.

    Parameters
    ----------
    name
        Name of the bundle and of the calendar.
    frames
        Bars of `load(…, "1D")` by ticker, all with the same adjustment and trading hours. The
        calendar has the sessions of the feed's calendar, and the dates of the bars. zipline gets
        no splits and no dividends: the prices stay as they were loaded.
    fill
        Give a ticker an empty bar on a session on which it has none; zipline does not trade there.

    Raises
    ------
    InvalidRequest
        The bars are not of one day, differ in their adjustment or their hours, or have no volume;
        three decimals would change a price by more than 0.1 %; a number is too large for zipline;
        without `fill`, a session has no bar; or the errors of `require_bars`.
    """
    bundles = import_engine("zipline.data.bundles", _PACKAGE)
    calendars = import_engine("zipline.utils.calendar_utils", _PACKAGE)
    require_one_basis(frames)
    tables = {ticker: _daily_table(ticker, bars) for ticker, bars in frames.items()}
    hours = _session_hours(frames, tables)
    for ticker, table in tables.items():
        tables[ticker] = _on_every_session(ticker, table, pd.DatetimeIndex(hours.index), fill=fill)
    exchanges = {ticker: bars.attrs["exchange"] for ticker, bars in frames.items()}
    # The library keeps the calendar that a name has had, so other sessions need another name.
    own_name = f"{name}-{hashlib.sha256(hours.to_csv().encode()).hexdigest()[:16]}"
    calendar = _calendar_type(calendars.TradingCalendar, name, hours)
    calendars.global_calendar_dispatcher.register_calendar_type(own_name, calendar, force=True)
    calendars.register_calendar_alias(name, own_name, force=True)
    if name in bundles.bundles:
        bundles.unregister(name)
    bundles.register(name, _ingestion(tables, exchanges), calendar_name=name)


def _daily_table(ticker: str, bars: pd.DataFrame) -> pd.DataFrame:
    """Return the bars as zipline stores them, indexed by their trading dates."""
    frame = require_bars(bars, name=ticker)
    if bars.attrs.get("timeframe") != "1D":
        message = f"zipline has bars of one day and of one minute; load {ticker} with '1D'."
        raise InvalidRequest({"frames": [message]})
    require_volume(frame, engine="zipline")
    table = with_decimals(frame, prices=_DECIMALS, volumes=0, engine="zipline")
    most = [*([_LARGEST / 10**_DECIMALS] * 4), _LARGEST]
    if (table.to_numpy() < 0).any() or (table.to_numpy() > most).any():
        message = (
            f"{ticker} has a price below 0 or above {most[0]:.0f}, or a volume above {_LARGEST}: "
            "zipline would replace the bar by zeros."
        )
        raise InvalidRequest({"frames": [message]})
    table.index = pd.DatetimeIndex(trading_day(bars)).as_unit("ns")
    return table


def _session_hours(
    frames: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return opening and close of each session on the exchange's clock, by trading date."""
    clocks = {(bars.attrs["session_hours"], bars.attrs["timezone"]) for bars in frames.values()}
    if len(clocks) != 1:
        told = ", ".join(" ".join(clock) for clock in sorted(clocks)) or "no bars at all"
        message = f"A bundle has one trading calendar, and these bars have {told}."
        raise InvalidRequest({"frames": [message]})
    first = min(table.index[0] for table in tables.values())
    last = max(table.index[-1] for table in tables.values())
    day = pd.Timedelta(days=1)
    found = pd.concat([sessions(bars, first, last + day) for bars in frames.values()])
    found = found[~found.index.duplicated()]
    found.index = pd.DatetimeIndex(found.index).as_unit("ns")
    dates = pd.DatetimeIndex(found.index)
    for table in tables.values():
        dates = dates.union(pd.DatetimeIndex(table.index))
    zone = ZoneInfo(next(iter(clocks))[1])
    local = pd.DataFrame(
        {name: times.dt.tz_convert(zone).dt.tz_localize(None) for name, times in found.items()}
    )
    local.attrs["zone"] = zone
    return local.reindex(dates)


def _on_every_session(
    ticker: str, table: pd.DataFrame, dates: pd.DatetimeIndex, *, fill: bool
) -> pd.DataFrame:
    own = dates[(dates >= table.index[0]) & (dates <= table.index[-1])]
    missing = own.difference(table.index)
    if len(missing) and not fill:
        message = (
            f"{ticker} has no bar on {len(missing)} sessions, the first on {missing[0].date()}: zipline "
            "needs a bar on each. fill=True adds empty bars, on which zipline does not trade."
        )
        raise InvalidRequest({"frames": [message]})
    # zipline reads a zero as a price that is not there.
    return table.reindex(own).fillna(0.0)


def _calendar_type(base: Any, name: str, hours: pd.DataFrame) -> Any:
    """Return a class of trading calendars with these sessions and no other."""
    dates = pd.DatetimeIndex(hours.index)
    opens, closes = (_times_of(hours[column], dates) for column in ("open", "close"))
    days = pd.date_range(dates[0], dates[-1], freq="D")
    facts = {
        "name": name,
        "tz": hours.attrs["zone"],
        "weekmask": "1111111",
        "adhoc_holidays": list(days.difference(dates)),
        "open_times": ((None, opens[0]),),
        "close_times": ((None, closes[0]),),
        "open_offset": opens[1],
        "close_offset": closes[1],
        "special_opens_adhoc": opens[2],
        "special_closes_adhoc": closes[2],
        "default_start": classmethod(lambda cls: dates[0]),
        "default_end": classmethod(lambda cls: dates[-1]),
    }
    return type("DatasetCalendar", (base,), facts)


def _times_of(column: pd.Series, dates: pd.DatetimeIndex) -> tuple[Any, int, list[Any]]:
    """Return the usual time of the day, its distance from the date in days, and the other times."""
    known = column.dropna()
    offsets = (known.dt.normalize() - known.index).dt.days
    times = known.dt.time
    usual = times.mode()[0]
    others = [
        (other, pd.DatetimeIndex(times.index[times == other]))
        for other in times.unique()
        if other != usual
    ]
    return usual, int(offsets.mode()[0]), others


def _ingestion(tables: Mapping[str, pd.DataFrame], exchanges: Mapping[str, str]) -> Any:
    """Return the function that writes the bundle when zipline ingests it."""

    def ingest(
        environ: Any, asset_writer: Any, minute_writer: Any, daily_writer: Any,
        adjustment_writer: Any, *others: Any,
    ) -> None:  # fmt: skip
        first = [table.index[0] for table in tables.values()]
        last = [table.index[-1] for table in tables.values()]
        equities = {
            "symbol": list(tables),
            "asset_name": list(tables),
            "start_date": first,
            "end_date": last,
            "auto_close_date": [date + pd.Timedelta(days=1) for date in last],
            "exchange": [exchanges[ticker] for ticker in tables],
        }
        asset_writer.write(equities=pd.DataFrame(equities))
        daily_writer.write(enumerate(tables.values()))
        adjustment_writer.write()

    return ingest
