"""Find symbols: among what is kept, else by one polite call for all who ask the same."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.cache import cache
from filelock import FileLock, Timeout

from datasets.bars import ascii_upper
from datasets.catalog import lists
from datasets.errors import FetchError, RateLimited
from datasets.fetching import throttle
from datasets.handover import about_to_wait
from datasets.models import Dataset
from datasets.tradingview.symbols import SymbolMatch, SymbolPage, search_symbols

# Listings change by the day, not by the minute.
_KEEP_S = 24 * 3600
# After a refusal by TradingView's search, which says nothing of its bars.
_PAUSE_S = 60.0
_PAUSE = "symbols:pause"
# Typing is quick: better a clear word than a box that hangs.
_PATIENCE_S = 5.0
# As long as a call may take; after that nobody waits for it any more.
_LONGEST_CALL_S = 30.0
_LOOK_S = 0.05
_MOST_KEPT = 20
_N_LOCKS = 64


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for: symbols that match a text, of an exchange and of a type where these are given."""

    query: str
    exchange: str = ""
    type: str = ""
    start: int = 0

    @property
    def cache_key(self) -> str:
        parts = [settings.TV_SOURCE, settings.TV_SEARCH_URL, self.query, self.exchange, self.type]
        spelled = "\x1f".join([*parts, str(self.start)])
        return "symbols:" + hashlib.sha256(spelled.encode()).hexdigest()

    def takes(self, match: SymbolMatch) -> bool:
        """Return whether each word of the query stands in the match."""
        text = ascii_upper(f"{match.full_symbol} {match.description}")
        return all(word in text for word in self.query.split())


@dataclass(frozen=True, slots=True)
class Found:
    """Matches, and for how many seconds the search is paused where these are only the kept ones."""

    page: SymbolPage
    retry_after_s: float | None = None


def find_symbols(query: str, *, exchange: str = "", type: str = "", start: int = 0) -> Found:
    """Return one page of matches, those of the catalog first; errors as for `search_symbols`.

    Every answer is kept for a day. An answer that was complete also answers what is typed
    on. While TradingView may not be asked, the catalog's matches are given with the pause;
    without any, `RateLimited` says it.
    """
    search = Search(" ".join(ascii_upper(query).split()), ascii_upper(exchange), type, start)
    of_catalog = [] if start else _in_catalog(search)
    try:
        page = _kept(search) or _of_earlier(search) or _asked(search, is_urgent=not of_catalog)
    except RateLimited as error:
        if not of_catalog:
            error.subject = f"symbol search {query!r}"
            raise
        return Found(SymbolPage(of_catalog, None), error.retry_after_s)
    except FetchError as error:
        error.subject = f"symbol search {query!r}"
        raise
    names = {match.full_symbol for match in of_catalog}
    others = [match for match in page.matches if match.full_symbol not in names]
    # A symbol that is spelled exactly like the query comes before longer ones, stored or not.
    matches = sorted([*of_catalog, *others], key=lambda match: match.symbol != search.query)
    return Found(SymbolPage(matches, page.next_start))


# --- what is kept ------------------------------------------------------------------------


def _in_catalog(search: Search) -> list[SymbolMatch]:
    """Return the instruments of kept datasets that match, each once, by symbol."""
    rows = Dataset.objects.filter(source=settings.TV_SOURCE, state=Dataset.State.READY)
    if search.exchange:
        rows = rows.filter(exchange=search.exchange)
    values = lists.search(rows, search.query).order_by("symbol", "exchange")
    found: dict[str, SymbolMatch] = {}
    for exchange, symbol, facts in values.values_list("exchange", "symbol", "instrument")[:500]:
        match = SymbolMatch(
            full_symbol=f"{exchange}:{symbol}" if exchange else symbol,
            symbol=symbol,
            exchange=exchange,
            description=str(facts.get("description", "")),
            type=str(facts.get("type", "")),
            currency=str(facts.get("currency", "")),
        )
        if search.type in ("", match.type):
            found.setdefault(match.full_symbol, match)
    return list(found.values())[:_MOST_KEPT]


def _kept(search: Search) -> SymbolPage | None:
    kept = cache.get(search.cache_key)
    if kept is None:
        return None
    return SymbolPage([SymbolMatch(**match) for match in kept["matches"]], kept["next_start"])


def _of_earlier(search: Search) -> SymbolPage | None:
    """Return the matches among a complete answer to the beginning of what is typed; None for none."""
    if search.start:
        return None
    beginnings = [search.query[:length].rstrip() for length in range(len(search.query) - 1, 0, -1)]
    earlier = {replace(search, query=query).cache_key: query for query in beginnings if query}
    answers = cache.get_many(earlier)
    for key in earlier:
        if key in answers and answers[key]["next_start"] is None:
            matches = [SymbolMatch(**match) for match in answers[key]["matches"]]
            matches = [match for match in matches if search.takes(match)]
            # Where nothing is left, TradingView may know it by another name.
            return SymbolPage(matches, None) if matches else None
    return None


# --- asking ------------------------------------------------------------------------------


def _asked(search: Search, *, is_urgent: bool) -> SymbolPage:
    """Ask TradingView, or take the answer to who asks the same just now."""
    about_to_wait()
    with _alone(search.cache_key):
        kept = _kept(search)
        if kept is not None:
            return kept
        _require_no_pause()
        at_most_s = _PATIENCE_S if is_urgent else 0.0
        throttle.wait_for_call(purpose="searches", at_most_s=at_most_s)
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
            cache.set(_PAUSE, (time.time() + _PAUSE_S, str(error)), timeout=_PAUSE_S)
            raise
        cache.set(search.cache_key, page.as_dict(), timeout=_KEEP_S)
        return page


def _require_no_pause() -> None:
    until, reason = cache.get(_PAUSE, (0.0, ""))
    # A clock that was put back makes no pause longer.
    left_s = min(until - time.time(), _PAUSE_S)
    if left_s > 0:
        error = RateLimited(f"{reason} {left_s:.0f} s are left.")
        error.retry_after_s = left_s
        raise error


@contextmanager
def _alone(key: str) -> Iterator[None]:
    """Keep every other thread and process from asking the same meanwhile."""
    deadline = time.monotonic() + _LONGEST_CALL_S
    if not settings.ENV["CACHE_URL"]:
        folder = settings.STATE_DIR / "searches"
        folder.mkdir(parents=True, exist_ok=True)
        # A few files for all: one for each search would stay for good.
        lock = FileLock(folder / f"{int(key[-8:], 16) % _N_LOCKS}.lock", timeout=_LONGEST_CALL_S)
        try:
            with lock:
                yield
        except Timeout:
            raise _still_asking() from None
        return
    asked = f"{key}:asked"
    while not cache.add(asked, True, timeout=_LONGEST_CALL_S):
        if time.monotonic() > deadline:
            raise _still_asking()
        time.sleep(_LOOK_S)
    try:
        yield
    finally:
        cache.delete(asked)


def _still_asking() -> RateLimited:
    error = RateLimited("The same symbol search has been running for long; try again in 5 s.")
    error.retry_after_s = _PATIENCE_S
    return error
