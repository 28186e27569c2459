"""The age of a dataset: one rule for the API, for cached reads and for the loader, whatever the calendar says."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

# Largest tolerated difference between the clocks of two hosts. A dataset from further in the
# future was dated by a wrong clock, so its age is unknown.
CLOCK_DIFFERENCE = timedelta(seconds=10)


def fresh_between(now: datetime, max_age_s: float) -> tuple[datetime, datetime]:
    """Return the earliest and the latest `fetched_at` of a dataset that is fresh at `now`."""
    return now - timedelta(seconds=max_age_s), now + CLOCK_DIFFERENCE


def stale_for(fetched_at: datetime, now: datetime, max_age_s: float) -> float:
    """Return the seconds since which a dataset is stale at `now`; 0 or less for a fresh dataset.

    Infinite for a dataset that was fetched in the future.
    """
    earliest, latest = fresh_between(now, max_age_s)
    return math.inf if fetched_at > latest else (earliest - fetched_at).total_seconds()
