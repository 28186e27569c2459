"""Watchlists: symbols that the service keeps up to date, their series, and how fresh these are."""

from datasets.watchlists.budget import Budget, present_budget
from datasets.watchlists.list_changes import (
    add_symbols,
    change_watchlist,
    create_watchlist,
    delete_watchlist,
    find_watchlist,
    pause,
    remove_symbols,
    require_new_name,
    resume,
    save_watchlist,
)
from datasets.watchlists.schedule_states import (
    ScheduleCounts,
    ScheduleState,
    count_schedules,
    lists_behind,
)
from datasets.watchlists.series_plans import (
    keys_of,
    schedules_of,
    update_schedules,
    watchlists_of,
)
from datasets.watchlists.series_states import SeriesState, counts_of, freshness_of, states_of
from datasets.watchlists.symbol_texts import (
    SymbolEntry,
    read_file,
    read_symbols,
    write_symbols,
)

__all__ = [
    "Budget",
    "ScheduleCounts",
    "ScheduleState",
    "SeriesState",
    "SymbolEntry",
    "add_symbols",
    "change_watchlist",
    "count_schedules",
    "counts_of",
    "create_watchlist",
    "delete_watchlist",
    "find_watchlist",
    "freshness_of",
    "keys_of",
    "lists_behind",
    "pause",
    "present_budget",
    "read_file",
    "read_symbols",
    "remove_symbols",
    "require_new_name",
    "resume",
    "save_watchlist",
    "schedules_of",
    "states_of",
    "update_schedules",
    "watchlists_of",
    "write_symbols",
]
