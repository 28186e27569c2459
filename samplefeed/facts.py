"""Facts of an instrument in `symbol_resolved` and in quotes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from samplefeed.holidays import EPOCH
from samplefeed.hours import Market
from samplefeed.instruments import Instrument

_SHOWN_YEARS = range(2000, 2028)


def resolved_facts(instrument: Instrument, session: str) -> dict[str, Any]:
    """Return the third parameter of `symbol_resolved`."""
    market = instrument.hours
    is_extended = session == "extended" and instrument.has_extended_hours
    subsession = "extended" if is_extended else "regular"
    facts = _identity(instrument) | _prices(instrument)
    facts |= {
        "session": _session(market, subsession),
        "session_display": _session(market, subsession),
        "subsession_id": subsession,
        "subsessions": _subsessions(market),
        "timezone": market.timezone,
        "has_intraday": not instrument.is_daily_only,
        "has_extended_hours": instrument.has_extended_hours,
        "bar_source": "trade",
        "bar_transform": "none",
        "bar_fillgaps": False,
        "is-tickbars-available": True,
    }
    if market.session != "24x7":
        days = (EPOCH + timedelta(number) for number in sorted(market.holidays()))
        shown = (f"{day:%Y%m%d}" for day in days if day.year in _SHOWN_YEARS)
        facts["session_holidays"] = ",".join(shown)
    if instrument.delay:
        facts["delay"] = instrument.delay
    return facts


def quote_facts(instrument: Instrument, price: float, volume: float | None) -> dict[str, Any]:
    """Return the values of the first `qsd`."""
    return {
        "volume": volume,
        "update_mode": update_mode(instrument.delay),
        "type": instrument.kind,
        "short_name": instrument.symbol,
        "pro_name": instrument.full_symbol,
        "original_name": instrument.feed_symbol,
        "pricescale": instrument.price_scale,
        "minmov": instrument.minimum_move,
        "minmove2": 0,
        "lp": price,
        "is_tradable": True,
        "fractional": False,
        "exchange": instrument.display,
        "description": instrument.description,
        "local_description": instrument.description,
        "currency_code": instrument.currency,
        "ch": 0.0,
        "chp": 0.0,
    }


def update_mode(delay: int) -> str:
    """Return the update mode in `series_completed`."""
    return f"delayed_streaming_{delay}" if delay else "streaming"


def _identity(instrument: Instrument) -> dict[str, Any]:
    """Return the facts of the source and the names of the instrument."""
    source_id = instrument.feed.removesuffix("_DLY") or instrument.exchange
    return {
        "source2": {
            "country": instrument.country,
            "description": instrument.display,
            "exchange-type": "exchange",
            "id": source_id,
            "name": instrument.display,
            "url": "",
        },
        "source_id": source_id,
        "provider_id": instrument.provider,
        "country": instrument.country,
        "name": instrument.symbol,
        "full_name": instrument.feed_symbol,
        "pro_name": instrument.full_symbol,
        "base_name": list(instrument.legs) or [instrument.full_symbol],
        "legs": list(instrument.legs) or [instrument.feed_symbol],
        "description": instrument.description,
        "short_description": instrument.description,
        "exchange": instrument.display,
        "listed_exchange": instrument.exchange,
        "exchange_listed_name": instrument.exchange,
        "type": instrument.kind,
        "typespecs": list(instrument.typespecs),
        "aliases": [],
        "alternatives": [],
        "is_tradable": True,
        "is_replayable": True,
    }


def _prices(instrument: Instrument) -> dict[str, Any]:
    return {
        "currency_code": instrument.currency,
        "currency_id": instrument.currency,
        "pricescale": instrument.price_scale,
        "minmov": instrument.minimum_move,
        "minmove2": 0,
        "pointvalue": 1.0,
        "fractional": False,
        "variable_tick_size": "",
        "measure": "price",
        "visible_plots_set": "ohlcv" if instrument.has_volume else "ohlc",
        "has_adjustment": instrument.is_stock,
        "allowed_adjustment": "any" if instrument.is_stock else "none",
        **({"volume_type": "base"} if instrument.market == "crypto" else {}),
    }


def _session(market: Market, subsession: str) -> str:
    return "0400-2000" if subsession == "extended" else market.session


def _subsessions(market: Market) -> list[dict[str, Any]]:
    named = [("Regular Trading Hours", "regular", market.session)]
    if market.premarket and market.postmarket:
        named += [
            ("Extended Trading Hours", "extended", _session(market, "extended")),
            ("Premarket", "premarket", "0400-0930"),
            ("Postmarket", "postmarket", "1600-2000"),
        ]
    return [
        {
            "description": description,
            "id": name,
            "private": name in {"premarket", "postmarket"},
            "session": session,
            **_correction(market, name, session),
            "session-display": session,
        }
        for description, name, session in named
    ]


def _correction(market: Market, subsession: str, session: str) -> dict[str, str]:
    """Return the field `session-correction`, for sessions that end early on some days."""
    days = [EPOCH + timedelta(number) for number in sorted(market.early_closes())]
    shown = [f"{day:%Y%m%d}" for day in days if day.year in _SHOWN_YEARS]
    if subsession not in {"regular", "extended"} or not shown:
        return {}
    start, minute = session.partition("-")[0], market.early_close_minute
    return {"session-correction": f"{start}-{minute // 60:02}{minute % 60:02}:{','.join(shown)}"}
