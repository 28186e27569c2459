"""The last bar of a dataset's file: final or forming, by the file's own metadata."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from datasets.calendars.calendar import Calendar
from datasets.calendars.close_times import Clock, close_instants
from datasets.calendars.lag import Holding

# Largest error that we expect of a machine's clock.
CLOCK_ERROR_MS = 3_600_000


def clock_of(facts: dict[str, Any]) -> Clock:
    """Return timeframe and calendar, which decide when a bar of this dataset closes."""
    return Clock(facts["key"]["timeframe"], Calendar.of(facts["instrument"]))


def holding_in(facts: Mapping[str, Any]) -> Holding:
    """Return what a dataset's file, an archive or a row of a service's list holds of the newest bar."""
    key = facts.get("key", facts)
    return Holding.of(
        key["timeframe"],
        facts["instrument"],
        last_time=datetime.fromisoformat(facts["last_time"]),
        is_final=facts["last_bar_final"],
        fetched_at=datetime.fromisoformat(facts["fetched_at"]),
    )


def is_final(facts: dict[str, Any]) -> bool:
    """Return whether the dataset's last bar had closed for sure when it was fetched."""
    if facts["last_bar_final"] is not None:
        return bool(facts["last_bar_final"])
    # The feed gave no answer: only a bar whose time was over counts as closed.
    last = iso_to_ms(facts["last_time"])
    closed_at = int(close_instants(np.array([last], dtype=np.int64), clock_of(facts))[0])
    return closed_at <= _known_until(facts)


def closed_by(facts: dict[str, Any]) -> int:
    """Return an instant by which a final last bar had closed, in ms."""
    return _known_until(facts) + CLOCK_ERROR_MS


def _known_until(facts: dict[str, Any]) -> int:
    """Return the exchange's time, in ms, that the feed had reached when the dataset was fetched."""
    return iso_to_ms(facts["fetched_at"]) - 1000 * int(facts["instrument"].get("delay_s") or 0)


def iso_to_ms(text: str) -> int:
    """Return an ISO 8601 instant as whole ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
