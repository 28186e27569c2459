"""Headers that say how fresh the bars of a reply are; they change with the clock, and the body does not."""

from __future__ import annotations

from datetime import datetime

from datasets.lru_cache import LruCache
from datasets.models import Dataset, Series, database
from datasets.watchlists.freshness import bars_freshness

# By row and second: a dataset that is read a thousand times a second is looked at once in it.
_made: LruCache[tuple[str, int, datetime, int], dict[str, str]] = LruCache(1024)


def freshness_headers(row: Dataset | Series) -> dict[str, str]:
    """Return `Freshness`, and where known `Lag-Bars`, `Expected-Through` and `Market-Opens-At`.

    Instants are ISO 8601 in UTC. Makes no query.
    """
    now = database.shared_now()
    key = (type(row).__name__, row.pk, row.fetched_at, int(now.timestamp()))
    held = _made.find(key)
    if held is not None:
        return held
    found = bars_freshness(row, now)
    values = {
        "Freshness": found.state.value,
        "Lag-Bars": found.lag_bars,
        "Expected-Through": found.expected_through,
        "Market-Opens-At": found.opens_at,
    }
    made = {
        name: f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else str(value)
        for name, value in values.items()
        if value is not None
    }
    _made.keep(key, made)
    return made
