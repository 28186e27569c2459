"""Symbol search over the catalogue, in both of TradingView's forms."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from samplefeed.feed import Feed
from samplefeed.instruments import Instrument, all_instruments
from samplefeed.site import comes_from_site, refused_page

PAGE_SIZE = 50
_MONTHS = {"H": "MAR", "M": "JUN", "U": "SEP", "Z": "DEC"}
# Clients use different words for a kind; all are accepted.
_KINDS = {
    "stocks": {"stock", "dr"},
    "stock": {"stock", "dr"},
    "funds": {"fund"},
    "crypto": {"spot", "swap"},
    "index": {"index"},
    "indices": {"index"},
    "bond": {"bond"},
    "bonds": {"bond"},
    "cfd": {"cfd", "commodity"},
    "economic": {"economic"},
}


def add_routes(app: web.Application, feed: Feed) -> None:
    """Add the routes of symbol search."""
    search = Search(feed)
    app.router.add_get("/symbol_search/v3/", search.search_v3)
    app.router.add_get("/symbol_search/", search.search_v1)


class Search:
    """Answers searches and counts them."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def search_v3(self, request: web.Request) -> web.Response:
        """Answer one page and the number of symbols after it."""
        found = self._found(request)
        if found is None:
            return refused_page()
        start = request.query.get("start", "0")
        first = int(start) if start.isdigit() else 0
        page = found[first : first + PAGE_SIZE]
        remaining = max(len(found) - first - PAGE_SIZE, 0)
        symbols = [_entry(instrument, _mark(request)) for instrument in page]
        return web.json_response({"symbols_remaining": remaining, "symbols": symbols})

    async def search_v1(self, request: web.Request) -> web.Response:
        """Answer the list of the older form."""
        found = self._found(request)
        if found is None:
            return refused_page()
        page = found[:PAGE_SIZE]
        return web.json_response([_old_entry(one, _mark(request)) for one in page])

    def _found(self, request: web.Request) -> list[Instrument] | None:
        """Return all matches, best first, or None for a client that is refused."""
        self._feed.stats.searches += 1
        query = request.query
        text = query.get("text", "")
        if not comes_from_site(request) or text == "refused":
            return None
        kind = query.get("search_type") or query.get("type") or ""
        return find_symbols(text, exchange=query.get("exchange", ""), kind=kind)


def find_symbols(text: str, *, exchange: str = "", kind: str = "") -> list[Instrument]:
    """Return the instruments whose symbol or description contains the text."""
    exchange_asked, _, name = text.upper().rpartition(":")
    wanted = exchange_asked or exchange.upper()
    kinds = _KINDS.get(kind, {kind})
    found = [
        instrument
        for instrument in all_instruments().values()
        if (name in instrument.symbol or name in instrument.description.upper())
        and (not wanted or instrument.exchange == wanted)
        and (not kind or instrument.kind in kinds)
    ]
    # Two continuous contracts of one future are one entry, which lists both.
    found = [one for one in found if one.kind != "futures" or one.symbol.endswith("1!")]
    # Equal symbols first, then symbols that begin with the text, then symbols that contain it.
    return sorted(
        found,
        key=lambda one: (
            one.symbol != name,
            not one.symbol.startswith(name),
            name not in one.symbol,
        ),
    )


def _mark(request: web.Request) -> str:
    """Return the text to emphasise in the answer."""
    return request.query.get("text", "") if request.query.get("hl") == "1" else ""


def _emphasised(text: str, mark: str) -> str:
    if not mark:
        return text
    pattern = re.compile(re.escape(mark), re.IGNORECASE)
    return pattern.sub(lambda match: f"<em>{match[0]}</em>", text, count=1)


def _old_entry(instrument: Instrument, mark: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "symbol": _emphasised(_root(instrument), mark),
        "description": _emphasised(instrument.description, mark),
        "type": instrument.kind,
        "exchange": instrument.exchange,
        "currency_code": instrument.currency,
        "provider_id": instrument.provider,
    }
    if instrument.country:
        entry["country"] = instrument.country
    if instrument.typespecs:
        entry["typespecs"] = list(instrument.typespecs)
    if instrument.kind == "futures":
        entry["contracts"] = _contracts(instrument)
    return entry


def _entry(instrument: Instrument, mark: str) -> dict[str, Any]:
    logo = instrument.description.lower().replace(" ", "-")
    entry = _old_entry(instrument, mark) | {
        "found_by_isin": False,
        "found_by_cusip": False,
        "logoid": logo,
        "logo": {"style": "single", "logoid": logo},
        "currency-logoid": f"country/{instrument.currency[:2]}",
        "source_logoid": f"source/{instrument.exchange}",
        "source2": {
            "id": instrument.exchange,
            "name": instrument.source_name or instrument.display,
            "description": instrument.source_name or instrument.display,
        },
    }
    if instrument.kind == "futures":
        # `exchange` is the displayed name; `prefix` is the exchange of the symbol.
        entry |= {"exchange": instrument.display, "prefix": instrument.exchange}
    return entry


def _root(instrument: Instrument) -> str:
    if instrument.kind == "futures":
        return instrument.symbol.rstrip("!").rstrip("0123456789")
    return instrument.symbol


def _contracts(instrument: Instrument) -> list[dict[str, Any]]:
    """Return the continuous contracts that have bars, and single contracts of one year."""
    root = _root(instrument)
    continuous = [
        {
            "symbol": f"{root}{number}!",
            "typespecs": ["continuous", "synthetic"],
            "description": f"CONTINUOUS: {place} CONTRACT IN FRONT",
        }
        for number, place in ((1, "CURRENT"), (2, "NEXT"))
        if f"{instrument.exchange}:{root}{number}!" in all_instruments()
    ]
    single = [
        {"symbol": f"{root}{letter}2027", "description": f"{month} 2027"}
        for letter, month in _MONTHS.items()
    ]
    return [*continuous, *single]
