"""The answer to one request for bars: a dataset, or the fetch that will bring it."""

from __future__ import annotations

from collections.abc import Callable

from datasets import errors
from datasets.bars.series_keys import SeriesKey
from datasets.errors import Refused
from datasets.fetching import fetch_queue
from datasets.models import Fetch, Series
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

    Without `answer`: for `as_of`, and for a range that ends before the newest bar that is held,
    so that no fetch is needed. With the `answer` that a dataset gives: for a range that begins
    before the dataset, where the archive has older bars. Raises `DatasetNotFound` for `as_of`
    of a series without an archive.
    """
    if not request.reads_archive:
        return None
    require_enabled()
    series = Series.find(SeriesKey.of(request.key))
    if request.as_of is not None and series is None:
        raise errors.DatasetNotFound(
            f"Nothing of {SeriesKey.of(request.key)} was archived, so there is no earlier state of it. "
            "Ask without as_of to fetch it."
        )
    if series is None or request.as_of is not None:
        return series
    if answer is None:
        is_held = request.end is not None and request.end <= series.last_time
        return series if is_held and request.use_cache else None
    begins_before = request.start is None or request.start < answer.dataset.first_time
    return series if begins_before and series.first_time < answer.dataset.first_time else None


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
