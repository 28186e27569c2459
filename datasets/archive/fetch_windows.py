"""Windows of a fetch: how many bars TradingView has to send so that an archive is complete again."""

from __future__ import annotations

from datetime import datetime, timedelta

from datasets.archive.generations import CONFIRMED_AFTER
from datasets.archive.series_rows import folder_of
from datasets.bars import DatasetKey, FetchedBars, Timeframe
from datasets.bars.series_keys import SeriesKey
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset, Revision
from datasets.storage.archives.series_document import SeriesDocument

# Bars that are held already and are fetched again, for the audit.
OVERLAP = 64
# TradingView answers the same numbers from its caches.
_STEPS = (128, 300, 1000, 5000)
_LENGTHS = {
    Timeframe.DAY_1: timedelta(days=1),
    Timeframe.WEEK_1: timedelta(days=7),
    Timeframe.MONTH_1: timedelta(days=28),
}


def window_of(key: DatasetKey, *, now: datetime, max_bars: int) -> int:
    """Return how many bars to request for a fetch of the dataset, at most `max_bars`.

    The whole window where the archive does not have all bars of the dataset, where bars are
    disputed, where a revision is open, or where the dataset is not ready: an invalidated dataset is fetched whole. All that
    the feed gives where a new basis of prices waits to be confirmed. Otherwise the bars since the
    newest one, and 64 that are held.
    """
    whole = min(key.n_bars, max_bars)
    document = _document(key)
    if document is None or document.last_time is None:
        return whole
    if document.awaiting and now >= document.generation.began_at + CONFIRMED_AFTER:
        return max_bars
    dataset = Dataset.find(key)
    is_ready = dataset is None or dataset.state == Dataset.State.READY
    is_complete = document.n_rows >= key.n_bars and not document.holes
    if not (is_ready and is_complete) or document.disputes or document.awaiting:
        return whole
    series = SeriesKey.of(key).as_dict()
    open_ones = Revision.objects.filter(state=Revision.State.OPEN)
    if open_ones.filter(**{f"series__{name}": value for name, value in series.items()}).exists():
        return whole
    # Without closed hours, so never too few.
    n_new = (now - document.last_time) // length_of(key.timeframe) + 1
    wanted = max(n_new, 0) + OVERLAP
    return min(whole, next((step for step in _STEPS if step >= wanted), whole))


def leaves_hole(key: DatasetKey, fetched: FetchedBars) -> bool:
    """Return whether the archive would not reach the fetched bars: no bar is in both."""
    document = _document(key)
    if document is None or document.last_time is None:
        return False
    first: datetime = fetched.table["time"][0].as_py()
    return first > document.last_time


def length_of(timeframe: Timeframe) -> timedelta:
    """Return the shortest time between two openings of bars that trade without a pause."""
    minutes = timeframe.minutes
    return _LENGTHS[timeframe] if minutes is None else timedelta(minutes=minutes)


def _document(key: DatasetKey) -> SeriesDocument | None:
    try:
        return folder_of(SeriesKey.of(key)).document()
    except (StoreError, StoreFailed):
        # The merge names the damage.
        return None
