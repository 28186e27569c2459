"""Search TradingView's symbols (`/symbol_search/v3/`)."""

from __future__ import annotations

import html
import re
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from datasets.errors import FeedProtocol, FetchError, RateLimited
from datasets.tradingview.http import request

# What one answer of TradingView holds at most.
PAGE_SIZE = 50
TYPES = (
    "stock",
    "funds",
    "futures",
    "forex",
    "cfd",
    "crypto",
    "index",
    "bond",
    "economic",
    "options",
)
_EMPHASIS = re.compile(r"</?em>")


@dataclass(frozen=True, slots=True)
class SymbolMatch:
    """One instrument that a search found; "" where TradingView does not say."""

    full_symbol: str
    symbol: str
    exchange: str
    description: str
    type: str
    currency: str


@dataclass(frozen=True, slots=True)
class SymbolPage:
    """One page of matches, best first, and where the next one starts (None after the last)."""

    matches: list[SymbolMatch]
    next_start: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def search_symbols(
    query: str, *, search_url: str, exchange: str = "", type: str = "", start: int = 0
) -> SymbolPage:
    """Search by symbol or description.

    Parameters
    ----------
    query
        What a person would type; any text.
    exchange, type
        Only of this exchange, and of this one of `TYPES`; "" for all.
    start
        How many matches to pass over.

    Raises
    ------
    FetchError
        `RateLimited` when TradingView refuses, `FeedUnreachable`, `FeedTimeout`, and
        `FeedProtocol` when it answers with a page instead of matches.
    """
    parameters = {
        "text": query, "hl": "1", "exchange": exchange, "lang": "en", "search_type": type,
        "domain": "production", "start": str(start), "sort_by_country": "US",
    }  # fmt: skip
    status, body, _ = request(
        "GET", f"{search_url}/symbol_search/v3/", purpose="symbol search", params=parameters
    )
    if status in (403, 429):
        raise RateLimited(
            f"TradingView refuses the symbol search (HTTP {status}). Type exchange and symbol by hand, "
            "or search again later."
        )
    return _read_page(status, body, start)


def _read_page(status: int, body: bytes, start: int) -> SymbolPage:
    try:
        answer = orjson.loads(body)
        entries = answer["symbols"]
        matches = [match for entry in entries for match in _matches(entry)]
        remaining = int(answer.get("symbols_remaining", 0))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _not_understood(status) from error
    return SymbolPage(matches, start + len(entries) if remaining > 0 and entries else None)


def _not_understood(status: int) -> FetchError:
    return FeedProtocol(
        f"TradingView answered the symbol search with something else (HTTP {status}). "
        "Type exchange and symbol by hand."
    )


def _matches(entry: dict[str, Any]) -> list[SymbolMatch]:
    """Return an entry's matches: itself, or its contracts where it is a future."""
    # `exchange` may be a display name of several words; its first is the prefix.
    exchange = str(entry.get("prefix") or entry["exchange"].split(" ")[0])
    contracts = entry.get("contracts") or [{}]
    return [_match(exchange, entry, contract) for contract in contracts]


def _match(exchange: str, entry: dict[str, Any], contract: dict[str, Any]) -> SymbolMatch:
    symbol = _plain(contract.get("symbol") or entry["symbol"])
    description = _plain(entry.get("description", ""))
    if contract.get("description"):
        description = f"{description}, {_plain(contract['description']).lower()}"
    return SymbolMatch(
        full_symbol=f"{exchange}:{symbol}",
        symbol=symbol,
        exchange=exchange,
        description=description,
        type=str(entry.get("type", "")),
        currency=str(entry.get("currency_code", "")),
    )


def _plain(text: str) -> str:
    """Return text without the emphasis that marks what was searched for."""
    return html.unescape(_EMPHASIS.sub("", str(text)))
