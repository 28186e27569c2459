"""Symbol search: stored datasets first, then cached pages, then one call to TradingView."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.cache import cache

from datasets.bars import ascii_upper, join_symbol
from datasets.catalog import lists
from datasets.errors import FetchError, RateLimited
from datasets.fetching import throttle
from datasets.fetching.search_lock import search_lock
from datasets.models import Dataset, database
from datasets.tradingview.symbols import SymbolMatch, SymbolPage, search_symbols

# Listings change from day to day, not from minute to minute.
_CACHED_FOR_S = 24 * 3600
# The pause of searches after a refusal. Fetches go on: the search has its own limit.
_PAUSE_S = 60.0
_PAUSE = "symbols:pause"
# The longest wait for the throttle: a person who types prefers an error to a long wait.
_LONGEST_WAIT_S = 5.0
_MOST_STORED = 20


@dataclass(frozen=True, slots=True)
class Search:
    """One search: a text, and optionally an exchange, a type and the number of matches to skip."""

    query: str
    exchange: str = ""
    type: str = ""
    start: int = 0

    @property
    def cache_key(self) -> str:
        parts = [settings.TV_SOURCE, settings.TV_SEARCH_URL, self.query, self.exchange, self.type]
        spelled = "\x1f".join([*parts, str(self.start)])
        return "symbols:" + hashlib.sha256(spelled.encode()).hexdigest()

    def accepts(self, match: SymbolMatch) -> bool:
        """Return whether the match contains each word of the query."""
        text = ascii_upper(f"{match.full_symbol} {match.description}")
        return all(word in text for word in self.query.split())


@dataclass(frozen=True, slots=True)
class Found:
    """A page of matches; `retry_after_s` is set when it has only stored datasets, during a pause."""

    page: SymbolPage
    retry_after_s: float | None = None


def find_symbols(query: str, *, exchange: str = "", type: str = "", start: int = 0) -> Found:
    """Return one page of matches; stored datasets come first.

    Every page of TradingView is cached for a day. A cached page that holds all matches of a
    text also answers each longer text with the same beginning. While no call is allowed, the
    page has only stored datasets and the seconds left. Raises the errors of `search_symbols`;
    `RateLimited` only where no stored dataset matches.
    """
    search = Search(" ".join(ascii_upper(query).split()), ascii_upper(exchange), type, start)
    stored = [] if start else _stored(search)
    try:
        page = (
            _cached(search)
            or _cached_for_beginning(search)
            or _called(search, longest_wait_s=0.0 if stored else _LONGEST_WAIT_S)
        )
    except FetchError as error:
        if isinstance(error, RateLimited) and stored:
            return Found(SymbolPage(stored, None), error.retry_after_s)
        error.subject = f"symbol search {query!r}"
        raise
    names = {match.full_symbol for match in stored}
    others = [match for match in page.matches if match.full_symbol not in names]
    # A symbol equal to the query comes before longer symbols, stored or not.
    matches = sorted([*stored, *others], key=lambda match: match.symbol != search.query)
    return Found(SymbolPage(matches, page.next_start))


def stored_symbols(*, exchange: str = "", type: str = "") -> list[SymbolMatch]:
    """Return instruments of ready datasets, sorted by symbol; nothing is asked of TradingView."""
    return _stored(Search("", ascii_upper(exchange), type))


def _stored(search: Search) -> list[SymbolMatch]:
    """Return the matching instruments of ready datasets, each once, sorted by symbol."""
    rows = Dataset.objects.filter(source=settings.TV_SOURCE, state=Dataset.State.READY)
    if search.exchange:
        rows = rows.filter(exchange=search.exchange)
    values = lists.search(rows, search.query).order_by("symbol", "exchange")
    found: dict[str, SymbolMatch] = {}
    for exchange, symbol, facts in values.values_list("exchange", "symbol", "instrument")[:500]:
        match = SymbolMatch(
            full_symbol=join_symbol(exchange, symbol),
            symbol=symbol,
            exchange=exchange,
            description=str(facts.get("description", "")),
            type=str(facts.get("type", "")),
            currency=str(facts.get("currency", "")),
        )
        if search.type in ("", match.type):
            found.setdefault(match.full_symbol, match)
    return list(found.values())[:_MOST_STORED]


def _cached(search: Search) -> SymbolPage | None:
    """Return the cached page of this search; None when there is none."""
    found = cache.get(search.cache_key)
    if found is None:
        return None
    return SymbolPage([SymbolMatch(**match) for match in found["matches"]], found["next_start"])


def _cached_for_beginning(search: Search) -> SymbolPage | None:
    """Return the matches in a cached complete page for the beginning of the query; None without any."""
    if search.start:
        return None
    beginnings = [search.query[:length].rstrip() for length in range(len(search.query) - 1, 0, -1)]
    earlier = {replace(search, query=query).cache_key: query for query in beginnings if query}
    pages = cache.get_many(earlier)
    for key in earlier:
        if key in pages and pages[key]["next_start"] is None:
            matches = [SymbolMatch(**match) for match in pages[key]["matches"]]
            matches = [match for match in matches if search.accepts(match)]
            # Without a match here, TradingView may still find the instrument by another name.
            return SymbolPage(matches, None) if matches else None
    return None


def _called(search: Search, *, longest_wait_s: float) -> SymbolPage:
    """Call TradingView and cache the page; return the page of another call that ended meanwhile."""
    with search_lock(search.cache_key):
        cached = _cached(search)
        if cached is not None:
            return cached
        until, reason = cache.get(_PAUSE, (0.0, ""))
        # A clock that was set back does not lengthen the pause.
        left_s = min(until - database.shared_now().timestamp(), _PAUSE_S)
        if left_s > 0:
            pause = RateLimited(f"{reason} {left_s:.0f} s are left.")
            pause.retry_after_s = left_s
            raise pause
        throttle.wait_for_call(purpose="searches", at_most_s=longest_wait_s)
        try:
            page = search_symbols(
                search.query,
                search_url=settings.TV_SEARCH_URL,
                exchange=search.exchange,
                type=search.type,
                start=search.start,
            )
        except RateLimited as error:
            error.retry_after_s = _PAUSE_S
            until = database.shared_now().timestamp() + _PAUSE_S
            cache.set(_PAUSE, (until, str(error)), timeout=_PAUSE_S)
            raise
        cache.set(search.cache_key, page.as_dict(), timeout=_CACHED_FOR_S)
        return page
