"""Schedules: when the watchlists' series are fetched, and what happens after such a fetch."""

from datasets.fetching.schedule.schedule_outcomes import ScheduleOutcome, settle_ended
from datasets.fetching.schedule.schedule_sweep import sweep_schedules
from datasets.fetching.schedule.symbol_checks import check_symbols, watch_symbols

__all__ = [
    "ScheduleOutcome",
    "check_symbols",
    "settle_ended",
    "sweep_schedules",
    "watch_symbols",
]
