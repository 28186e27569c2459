"""The answer to one request for bars: a dataset, or the fetch that will bring it."""

from __future__ import annotations

from collections.abc import Callable

from datasets import errors
from datasets.errors import Refused
from datasets.fetching import fetch_queue
from datasets.models import Fetch
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
