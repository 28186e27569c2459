"""Checks of symbols before they enter a watchlist, by the symbol search."""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.conf import settings

from datasets.errors import FetchError, InvalidRequest
from datasets.fetching.symbol_search import find_symbols
from datasets.models import Series, WatchedSymbol, Watchlist
from datasets.watchlists import SymbolEntry, add_symbols

# A long list takes more calls than a person waits for; its other symbols stay unchecked.
_DEADLINE_S = 15.0
_LATER = "The first fetch shows whether it exists."


def watch_symbols(
    watchlist: Watchlist,
    entries: Sequence[SymbolEntry],
    *,
    check: bool = True,
    by: str = "",
    via: str = "command",
) -> list[WatchedSymbol]:
    """Check symbols and add them to the list; return the new rows.

    Raises `InvalidRequest`, and adds nothing, when a symbol does not exist or the list has no
    room. A symbol that could not be checked is added with a sentence in `problem`. With
    `check=False` no symbol is checked.
    """
    problems = check_symbols(entries) if check else {}
    return add_symbols(watchlist, entries, problems=problems, by=by, via=via)


def check_symbols(entries: Sequence[SymbolEntry]) -> dict[SymbolEntry, str]:
    """Return a sentence for each symbol that could not be checked.

    Archived symbols need no call, and an expression is in no search. The calls end after 15 s, or
    at the first error of the search. Raises `InvalidRequest`, which names every symbol that the
    search does not have.
    """
    archived = set(
        Series.objects.filter(source=settings.TV_SOURCE).values_list("exchange", "symbol")
    )
    left = [
        each for each in entries if each.exchange and (each.exchange, each.symbol) not in archived
    ]
    problems, missing = {}, []
    until, reason = time.monotonic() + _DEADLINE_S, ""
    for entry in left:
        if not reason and time.monotonic() > until:
            reason = f"Not checked: the symbol search allows few calls a minute. {_LATER}"
        if not reason:
            try:
                found = find_symbols(entry.symbol, exchange=entry.exchange).page.matches
            except FetchError as error:
                reason = f"Not checked: {error} {_LATER}"
            else:
                if entry.full_symbol not in [match.full_symbol for match in found]:
                    close = ", ".join(match.full_symbol for match in found[:3])
                    near = f" Similar symbols are {close}." if close else ""
                    missing.append(
                        f"{entry.full_symbol} is not in TradingView's symbol search, so nothing was added.{near}"
                    )
                continue
        problems[entry] = reason
    if missing:
        raise InvalidRequest({"symbols": missing})
    return problems
