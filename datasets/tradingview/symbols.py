"""TradingView's symbol search (`/symbol_search/v3/`)."""

from __future__ import annotations

import html
import re
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from datasets.errors import FeedProtocol, RateLimited
from datasets.tradingview.http import request

# The most matches in one reply of TradingView.
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
    """One instrument found by a search; a field that TradingView leaves out is ""."""

    full_symbol: str
    symbol: str
    exchange: str
    description: str
    type: str
    currency: str

    @classmethod
    def of_entry(cls, entry: dict[str, Any], contract: dict[str, Any]) -> SymbolMatch:
        """Return the match of an entry of the reply, or of one contract of a future."""
        # `exchange` may be a display name of several words; the first word is the prefix.
        exchange = str(entry.get("prefix") or entry["exchange"].split(" ")[0])
        symbol = _plain(contract.get("symbol") or entry["symbol"])
        description = _plain(entry.get("description", ""))
        if contract.get("description"):
            description = f"{description}, {_plain(contract['description']).lower()}"
        return cls(
            full_symbol=f"{exchange}:{symbol}",
            symbol=symbol,
            exchange=exchange,
            description=description,
            type=str(entry.get("type", "")),
            currency=str(entry.get("currency_code", "")),
        )


@dataclass(frozen=True, slots=True)
class SymbolPage:
    """One page of matches, best first, and the start of the next page (None after the last)."""

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
        Any text, as typed in a search box.
    exchange, type
        Filter by exchange, and by one of `TYPES`; "" for all.
    start
        The number of matches to skip.

    Raises
    ------
    FetchError
        `RateLimited` when TradingView refuses, `FeedUnreachable`, `FeedTimeout`, and
        `FeedProtocol` when the reply contains no list of matches.
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
    try:
        answer = orjson.loads(body)
        entries = answer["symbols"]
        matches = [
            SymbolMatch.of_entry(entry, contract)
            for entry in entries
            # A future has one match for each contract.
            for contract in entry.get("contracts") or [{}]
        ]
        remaining = int(answer.get("symbols_remaining", 0))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FeedProtocol(
            f"TradingView's reply to the symbol search (HTTP {status}) is not a list of symbols. "
            "Type exchange and symbol by hand."
        ) from error
    return SymbolPage(matches, start + len(entries) if remaining > 0 and entries else None)


def _plain(text: str) -> str:
    """Return text without the tags that mark the query in it."""
    return html.unescape(_EMPHASIS.sub("", str(text)))
