"""Windows of a fetch: how many bars TradingView has to send so that an archive is complete again."""

from __future__ import annotations

from datetime import datetime, timedelta

from datasets.archive.generations import CONFIRMED_AFTER
from datasets.archive.series_rows import folder_of
from datasets.bars import DatasetKey, FetchedBars, Timeframe
from datasets.bars.series_keys import SeriesKey
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset, Revision
from datasets.storage.archives.archive_queries import read_range
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


def window_of(key: DatasetKey, *, now: datetime, max_bars: int, newest_only: bool = False) -> int:
    """Return how many bars to request for a fetch of the dataset, at most `max_bars`.

    The whole window where the archive does not have all bars of the dataset, where bars are
    disputed, where a revision is open, or where the dataset is not ready: an invalidated dataset is fetched whole. All that
    the feed gives where a new basis of prices waits to be confirmed. Otherwise the bars since the
    newest one, and 64 that are held. They can be more than those of the dataset: bars that are not
    requested now leave TradingView's window and cannot be had later.

    With `newest_only` an archive that is shorter than the dataset, or has holes, counts as whole:
    many listings are young, and a hole is older than what TradingView gives.
    """
    whole = min(key.n_bars, max_bars)
    document = _document(SeriesKey.of(key))
    if document is None or document.last_time is None:
        return whole
    if document.awaiting and now >= document.generation.began_at + CONFIRMED_AFTER:
        return max_bars
    # Without closed hours, so never too few.
    n_new = (now - document.last_time) // length_of(key.timeframe) + 1
    wanted = max(n_new, 0) + OVERLAP
    since_newest = min(max_bars, next((step for step in _STEPS if step >= wanted), max_bars))
    has_all = document.n_rows >= key.n_bars and not document.holes
    is_enough = (newest_only or has_all) and _is_settled(key, document)
    return since_newest if is_enough else max(whole, since_newest)


def _is_settled(key: DatasetKey, document: SeriesDocument) -> bool:
    """Return whether the dataset is ready or new, and no bar of the series waits for a decision."""
    dataset = Dataset.find(key)
    is_ready = dataset is None or dataset.state == Dataset.State.READY
    if not is_ready or document.disputes or document.awaiting:
        return False
    series = SeriesKey.of(key).as_dict()
    open_ones = Revision.objects.filter(state=Revision.State.OPEN)
    return not open_ones.filter(
        **{f"series__{name}": value for name, value in series.items()}
    ).exists()


def dataset_for_range(
    key: SeriesKey, start: datetime, end: datetime | None, *, now: datetime, max_bars: int
) -> DatasetKey | None:
    """Return the dataset to fetch so that the archive holds all of a range that TradingView still gives.

    Parameters
    ----------
    key
        The series.
    start, end
        The range: bars that open at or after `start` and before `end`; None for up to now.
    now
        The present instant, UTC.
    max_bars
        The most bars of one fetch.

    Returns
    -------
    DatasetKey or None
        None where no fetch can add bars to the range: the archive holds the range, or its bars
        are older than those that TradingView gives. The number of bars is rounded up, so that
        similar ranges share a dataset.
    """
    until = now if end is None else min(end, now)
    document = _document(key)
    if document is None or document.last_time is None:
        return key.dataset(_n_bars_since(start, key, now, max_bars))
    lacking = _lacking_from(key, document, start, until)
    if lacking is not None and _n_held_after(key, document, lacking) < max_bars:
        return key.dataset(_n_bars_since(lacking, key, now, max_bars))
    newest = document.last_time
    newer_from = newest + length_of(key.timeframe) if document.is_last_final else newest
    if until <= newer_from:
        return None
    free = Dataset.objects.filter(**key.as_dict(), is_pinned=False, state=Dataset.State.READY)
    largest = free.order_by("-n_bars").values_list("n_bars", flat=True).first() or 0
    return key.dataset(max(largest, _n_bars_since(newest, key, now, max_bars)))


def _lacking_from(
    key: SeriesKey, document: SeriesDocument, start: datetime, until: datetime
) -> datetime | None:
    """Return since when the archive lacks bars of a range before its newest bar; None where it has all."""
    if document.first_time is None or start < document.first_time:
        # The feed has said that it has no older bars.
        is_limited = Dataset.objects.filter(**key.as_dict(), is_limited=True).exists()
        if not is_limited:
            return start
    within = [hole.after for hole in document.holes if hole.before > start and hole.after < until]
    return max(within[0], start) if within else None


def _n_held_after(key: SeriesKey, document: SeriesDocument, lacking: datetime) -> int:
    """Return how many bars the archive holds after the time since which it lacks bars."""
    if document.first_time is None or lacking < document.first_time:
        return document.n_rows
    return read_range(folder_of(key), lacking + timedelta(milliseconds=1)).rows.num_rows


def _n_bars_since(start: datetime, key: SeriesKey, now: datetime, max_bars: int) -> int:
    """Return a number of bars that reaches from now back to `start`, rounded up, at most `max_bars`."""
    # Without closed hours, so never too few.
    wanted = max((now - start) // length_of(key.timeframe) + 1, 0) + OVERLAP
    most = _STEPS[-1]
    step = next((step for step in _STEPS[1:] if step >= wanted), -(-wanted // most) * most)
    return min(step, max_bars)


def leaves_hole(key: DatasetKey, fetched: FetchedBars) -> bool:
    """Return whether the archive would not reach the fetched bars: no bar is in both."""
    document = _document(SeriesKey.of(key))
    if document is None or document.last_time is None:
        return False
    first: datetime = fetched.table["time"][0].as_py()
    return first > document.last_time


def length_of(timeframe: Timeframe) -> timedelta:
    """Return the shortest time between two openings of bars that trade without a pause."""
    minutes = timeframe.minutes
    return _LENGTHS[timeframe] if minutes is None else timedelta(minutes=minutes)


def _document(key: SeriesKey) -> SeriesDocument | None:
    try:
        return folder_of(key).document()
    except (StoreError, StoreFailed):
        # The merge names the damage.
        return None
