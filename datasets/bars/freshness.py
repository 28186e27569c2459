"""Whether a dataset is still fresh: the one rule for the API, its short way and the loader."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

# The clocks of two hosts may differ by this much. Of a dataset that was fetched further in the
# future nobody can tell the age: the clock that dated it was wrong.
CLOCK_DIFFERENCE = timedelta(seconds=10)


def fresh_between(now: datetime, max_age_s: float) -> tuple[datetime, datetime]:
    """Return the earliest and the latest `fetched_at` of a dataset that is fresh at `now`."""
    return now - timedelta(seconds=max_age_s), now + CLOCK_DIFFERENCE


def stale_for(fetched_at: datetime, now: datetime, max_age_s: float) -> float:
    """Return for how many seconds a dataset has been stale at `now`; 0 or less when it is fresh.

    Infinite for one that was fetched in the future.
    """
    earliest, latest = fresh_between(now, max_age_s)
    return math.inf if fetched_at > latest else (earliest - fetched_at).total_seconds()
