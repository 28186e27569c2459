"""What the datafeed says of a symbol: its hours, its prices' steps, its resolutions."""

from __future__ import annotations

from typing import Any

from datasets.bars import Session, Timeframe
from datasets.calendars import Calendar
from datasets.calendars.session_strings import documented_form
from datasets.errors import NotFound, SymbolNotFound
from datasets.models import Series
from datasets.serving.permissions import Caller
from datasets.udf.held_series import HeldSeries, held_or_fetched, newest_of
from datasets.udf.tickers import RESOLUTIONS, UNKNOWN_SYMBOL, Ticker

_ROUND_THE_CLOCK = "24x7"
_SESSION_NAMES = {Session.REGULAR: "Regular trading hours", Session.EXTENDED: "Extended hours"}
_INTRADAY = [text for each, text in RESOLUTIONS.items() if each.is_intraday]


def symbol_info(ticker: Ticker, caller: Caller) -> dict[str, Any]:
    """Return the datafeed's description of a ticker; daily bars are fetched where nothing is held.

    Raises `NotFound` where TradingView has no such symbol or the fetch still runs, and else as
    `held_or_fetched`.
    """
    held = newest_of(ticker)
    if held is None:
        try:
            held = held_or_fetched(ticker, Timeframe.DAY_1, caller)
        except SymbolNotFound:
            raise NotFound(UNKNOWN_SYMBOL) from None
    if held is None:
        raise NotFound(UNKNOWN_SYMBOL)
    return described(ticker, held)


def described(ticker: Ticker, held: HeldSeries) -> dict[str, Any]:
    """Return the description of a ticker from the facts that came with its bars."""
    facts = held.instrument
    name, exchange = str(ticker), ticker.exchange or "expression"
    return {
        # The same text: the charting library would look another name up again.
        "name": name,
        "ticker": name,
        "description": facts.get("description") or name,
        "type": facts.get("type") or "stock",
        "exchange": exchange,
        "listed_exchange": exchange,
        "timezone": facts.get("timezone") or "Etc/UTC",
        **_hours(ticker, facts),
        "minmov": facts.get("minmov") or 1,
        "pricescale": facts.get("pricescale") or 100,
        "minmove2": 0,
        "fractional": False,
        "has_intraday": True,
        "intraday_multipliers": _INTRADAY,
        "has_daily": True,
        "daily_multipliers": ["1"],
        "has_weekly_and_monthly": True,
        "weekly_multipliers": ["1"],
        "monthly_multipliers": ["1"],
        "supported_resolutions": list(RESOLUTIONS.values()),
        "visible_plots_set": "ohlcv" if facts.get("has_volume", True) else "ohlc",
        "volume_precision": 8 if facts.get("type") in ("crypto", "spot") else 2,
        "currency_code": facts.get("currency") or "",
        "format": "price",
        **_status(held, int(facts.get("delay_s") or 0)),
    }


def _hours(ticker: Ticker, facts: dict[str, Any]) -> dict[str, Any]:
    """Return session, holidays and corrections; the same texts stand in the one subsession."""
    is_known = Calendar.of(facts).is_known
    session = documented_form(str(facts.get("session_hours") or "")) if is_known else ""
    corrections = documented_form(str(facts.get("session_correction") or "")) if is_known else ""
    number = ticker.session.value
    subsession = {
        "id": number,
        "description": _SESSION_NAMES[ticker.session],
        "session": session or _ROUND_THE_CLOCK,
        "session-correction": corrections,
    }
    return {
        "session": subsession["session"],
        "session_holidays": str(facts.get("session_holidays") or "") if is_known else "",
        "corrections": corrections,
        "subsession_id": number,
        "subsessions": [subsession],
    }


def _status(held: HeldSeries, delay_s: int) -> dict[str, Any]:
    """Return whether newer bars come by themselves, which is so for the series of watchlists."""
    is_watched = isinstance(held.row, Series) and hasattr(held.row, "schedule")
    if not is_watched:
        return {"data_status": "endofday", "delay": delay_s}
    return {"data_status": "delayed_streaming" if delay_s else "streaming", "delay": delay_s}
