"""When is a market open, and when has a bar closed?"""

from datasets.calendars.calendar import Calendar
from datasets.calendars.close_times import (
    NEVER,
    Clock,
    close_instants,
    earliest_next,
    is_spread_out,
)
from datasets.calendars.hours import (
    DAY_MS,
    MINUTE_MS,
    Hours,
    day_ends,
    day_starts,
    is_within,
    parse_hours,
    parse_zone,
    trading_dates,
    trading_days,
)

__all__ = [
    "Calendar",
    "DAY_MS",
    "Clock",
    "Hours",
    "MINUTE_MS",
    "NEVER",
    "close_instants",
    "day_ends",
    "day_starts",
    "earliest_next",
    "is_spread_out",
    "is_within",
    "parse_hours",
    "parse_zone",
    "trading_dates",
    "trading_days",
]
