"""Holdings: what the rows of series and datasets say of the newest held bar."""

from __future__ import annotations

from datetime import datetime

from datasets.bars import IMPORTED
from datasets.calendars import Holding
from datasets.models import Dataset, Series


def holding_of(row: Series | Dataset) -> Holding:
    """Return what is held of a series, or of one of its datasets."""
    return Holding.of(
        row.timeframe,
        row.instrument,
        last_time=row.last_time,
        is_final=row.last_bar_final,
        fetched_at=row.fetched_at,
    )


def complete_until(row: Series | Dataset) -> datetime | None:
    """Return the instant from which the feed can give newer bars; None where that is not known.

    It depends on the row alone, so that a reply's body stays valid while time passes.
    """
    return None if row.source == IMPORTED else holding_of(row).complete_until
