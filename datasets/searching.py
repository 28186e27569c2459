"""Find symbols: from the cache, else one polite call for all who ask the same."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.core.cache import cache

from datasets import throttle
from datasets.tradingview.symbols import SymbolMatch, SymbolPage, search_symbols

# Listings change by the day, not by the minute.
_KEEP_S = 24 * 3600


def find_symbols(query: str, *, exchange: str = "", type: str = "", start: int = 0) -> SymbolPage:
    """Return one page of matches; errors as for `search_symbols`.

    Every answer is kept for a day, so that searching as one types costs TradingView little.
    """
    query = " ".join(query.upper().split())
    spelled = "\x1f".join(
        [settings.TV_SOURCE, settings.TV_SEARCH_URL, query, exchange.upper(), type, str(start)]
    )
    cache_key = "symbols:" + hashlib.sha256(spelled.encode()).hexdigest()
    kept = cache.get(cache_key)
    if kept is not None:
        return SymbolPage([SymbolMatch(**match) for match in kept["matches"]], kept["next_start"])
    # Typing is quick: better a clear word than a box that hangs.
    throttle.wait_for_token(purpose="searches", at_most_s=5)
    page = search_symbols(
        query, search_url=settings.TV_SEARCH_URL, exchange=exchange.upper(), type=type, start=start
    )
    cache.set(cache_key, page.as_dict(), timeout=_KEEP_S)
    return page
