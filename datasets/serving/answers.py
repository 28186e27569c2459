"""The answer to one request for bars: a dataset, or the fetch that will bring it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from django.conf import settings

from datasets import errors
from datasets.archive.fetch_windows import dataset_for_range
from datasets.bars import IMPORTED, DatasetKey
from datasets.bars.series_keys import SeriesKey
from datasets.errors import Refused
from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch, Series, database
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.dataset_choice import find_cached, stale_for_s
from datasets.serving.fetch_requests import join_or_start
from datasets.serving.fetch_waits import raise_failure, wait_for
from datasets.serving.permissions import require_enabled


def find_answer(
    request: BarsRequest,
    *,
    via: str,
    by: str = "",
    before_fetch: Callable[[], None] = lambda: None,
) -> Answer | Fetch:
    """Return the dataset that answers the request, or the fetch that still runs after `wait_s`.

    A fresh dataset answers at once. A stale one answers at once when it has been stale for at
    most `max_stale_s`, and a fetch replaces it meanwhile. `before_fetch` is called before a new
    fetch is started, not before one is joined; it may raise `Refused`.

    Raises
    ------
    Disabled
        `TV_ENABLED=0`.
    InvalidRequest
        A fresh fetch is asked for and the dataset is pinned.
    FetchError
        The fetch failed, or its next attempt comes after `wait_s`.
    Refused
        By `before_fetch`, or because the queue is full.
    """
    require_enabled()
    stale = None
    if request.use_cache:
        found = find_cached(request)
        if found is not None and not found.is_stale:
            return found
        if found is not None and stale_for_s(found.dataset, request.max_age_s) <= request.max_stale_s:  # fmt: skip
            stale = found
    try:
        if not fetch_queue.is_on_its_way(request.key):
            before_fetch()
        fetch = join_or_start(request, via=via, by=by)
    except Refused:
        if stale is not None:
            return stale
        raise
    if isinstance(fetch, Answer):
        return fetch
    if stale is not None:
        return stale
    return _wait_for_answer(request, fetch)


def find_series(request: BarsRequest, answer: Answer | None = None) -> Series | None:
    """Return the series whose archive answers in place of a dataset, or None.

    Without `answer`: for imported bars, for `as_of`, and for a range before the newest bar that is held, of which
    TradingView gives no bar that the archive lacks, so that no fetch is needed. With the
    `answer` that a dataset gives: for a range that begins before the dataset, where the archive
    has older bars, and for more bars than one fetch gives.

    Raises
    ------
    DatasetNotFound
        `as_of` of a series without an archive, or imported bars that do not exist.
    InvalidRequest
        The archive has fewer bars than `n_archived`.
    """
    if not request.reads_archive:
        return None
    require_enabled()
    series = Series.find(SeriesKey.of(request.key))
    if request.key.source == IMPORTED:
        if series is None:
            raise errors.DatasetNotFound(
                f"No bars of {SeriesKey.of(request.key)} were imported. Import a file on the service's machine, "
                "or leave source out."
            )
        return series
    if request.as_of is not None and series is None:
        raise errors.DatasetNotFound(
            f"Nothing of {SeriesKey.of(request.key)} was archived, so there is no earlier state of it. "
            "Ask without as_of to fetch it."
        )
    if request.n_archived is not None and request.as_of is None:
        _require_held(request.n_archived, series, SeriesKey.of(request.key))
        return None if answer is None else series
    if series is None or request.as_of is not None:
        return series
    if answer is None:
        return series if _is_held(request, series) and _lacks(request, series) is None else None
    begins_before = request.start is None or request.start < answer.dataset.first_time
    return series if begins_before and series.first_time < answer.dataset.first_time else None


def find_held(request: BarsRequest) -> Series | None:
    """Return the series whose archive answers a range when no fetch may be made, or None.

    The range ends before the newest bar that is held; older bars than those held may be missing.
    """
    series = Series.find(SeriesKey.of(request.key)) if request.reads_range else None
    return series if series is not None and _is_held(request, series) else None


def _is_held(request: BarsRequest, series: Series) -> bool:
    return request.use_cache and request.end is not None and request.end <= series.last_time


def for_fetch(request: BarsRequest) -> BarsRequest:
    """Return the request with the dataset that has to be there, and is fetched where it is not.

    For a range that begins before the archive this is a dataset that reaches back to its start,
    as far as TradingView gives bars. For more bars than one fetch gives it is the largest dataset
    of the series.
    """
    key = SeriesKey.of(request.key)
    if request.n_archived is not None:
        free = Dataset.objects.filter(**key.as_dict(), state=Dataset.State.READY)
        largest = free.order_by("-n_bars").values_list("n_bars", flat=True).first()
        return replace(request, key=key.dataset(largest or request.key.n_bars))
    series = Series.find(key) if request.reads_range else None
    lacking = None if series is None else _lacks(request, series)
    if lacking is None or lacking.n_bars <= request.key.n_bars:
        return request
    return replace(request, key=lacking)


def _lacks(request: BarsRequest, series: Series) -> DatasetKey | None:
    """Return the dataset to fetch so that the archive holds the range up to its newest bar; None for no fetch."""
    if request.start is None or (request.start >= series.first_time and not series.n_holes):
        return None
    end = min(request.end or series.last_time, series.last_time)
    return dataset_for_range(
        series.series_key,
        request.start,
        end,
        now=database.shared_now(),
        max_bars=settings.TV_MAX_BARS,
    )


def _require_held(n_bars: int, series: Series | None, key: SeriesKey) -> None:
    """Raise `InvalidRequest` unless the archive has `n_bars` bars; the message says what it has."""
    held = 0 if series is None else series.n_rows
    if held >= n_bars:
        return
    most = settings.TV_MAX_BARS
    has = f"nothing of {key} was archived yet"
    if series is not None:
        has = f"the archive of {key} holds {held} bars, from {series.first_time.isoformat()}"
    raise errors.InvalidRequest(
        {
            "n_bars": [
                f"{n_bars} is above {most}, the most that TradingView gives in one fetch (TV_MAX_BARS), and {has}. "
                f"Ask for at most {max(held, most)}; the archive grows with each fetch."
            ]
        }
    )


def _wait_for_answer(request: BarsRequest, fetch: Fetch) -> Answer | Fetch:
    fetch = wait_for(fetch, wait_s=request.wait_s)
    raise_failure(fetch)
    if not fetch.is_finished:
        return fetch
    if fetch.dataset is None:
        raise errors.StoreFailed(
            f"{request.key} was removed right after it was fetched; ask again."
        )
    return Answer(fetch.dataset, is_cached=False)
