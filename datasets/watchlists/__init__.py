"""Watchlists: symbols that the service keeps up to date, their series, and how fresh these are."""

from datasets.watchlists.list_changes import (
    add_symbols,
    change_watchlist,
    create_watchlist,
    delete_watchlist,
    find_watchlist,
    pause,
    remove_symbols,
    resume,
)
from datasets.watchlists.series_plans import (
    keys_of,
    schedules_of,
    update_schedules,
    watchlists_of,
)
from datasets.watchlists.symbol_texts import (
    SymbolEntry,
    read_file,
    read_symbols,
    write_symbols,
)

__all__ = [
    "SymbolEntry",
    "add_symbols",
    "change_watchlist",
    "create_watchlist",
    "delete_watchlist",
    "find_watchlist",
    "keys_of",
    "pause",
    "read_file",
    "read_symbols",
    "remove_symbols",
    "resume",
    "schedules_of",
    "update_schedules",
    "watchlists_of",
    "write_symbols",
]
