"""When is a market open, when has a bar closed, and which bars should be there?"""

from datasets.calendars.calendar import CALENDAR_FACTS, Calendar
from datasets.calendars.close_times import (
    NEVER,
    Clock,
    close_instants,
    earliest_next,
)
from datasets.calendars.expected_bars import (
    ExpectedBars,
    Timetable,
    expected_bars,
    held_bars,
)
from datasets.calendars.gap_findings import MISSING, Finding, GapReport, Kind, Range
from datasets.calendars.gaps import find_gaps
from datasets.calendars.lag import (
    Holding,
    Lag,
    find_lag,
    longest_fetch_delay,
    longest_jitter,
    next_opening,
)
from datasets.calendars.opinions import Opinion, find_market, second_opinion
from datasets.calendars.sessions import Sessions
from datasets.calendars.spread import is_spread_out
from datasets.calendars.trading_dates import BarDays, bar_days, period_starts
from datasets.calendars.windows import Windows, find_windows
from datasets.calendars.zones import (
    DAY_MS,
    MINUTE_MS,
    Booleans,
    Integers,
    from_wall,
    parse_zone,
    to_wall,
)

__all__ = [
    "BarDays",
    "CALENDAR_FACTS",
    "Booleans",
    "Calendar",
    "Clock",
    "DAY_MS",
    "ExpectedBars",
    "Finding",
    "GapReport",
    "Holding",
    "Integers",
    "Kind",
    "Lag",
    "Opinion",
    "Range",
    "MINUTE_MS",
    "MISSING",
    "NEVER",
    "Sessions",
    "Timetable",
    "Windows",
    "bar_days",
    "close_instants",
    "earliest_next",
    "find_windows",
    "expected_bars",
    "find_gaps",
    "find_lag",
    "find_market",
    "from_wall",
    "held_bars",
    "second_opinion",
    "is_spread_out",
    "longest_fetch_delay",
    "longest_jitter",
    "next_opening",
    "parse_zone",
    "period_starts",
    "to_wall",
]
