"""Answer one request for bars: from the catalog, else ask for a fetch and wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets import catalog, errors
from datasets.bars import DatasetKey, freshness, selection
from datasets.catalog import invalidation, outputs
from datasets.errors import Disabled, FetchError, InvalidRequest, Refused, StoreError
from datasets.fetching import fetch_queue, tasks
from datasets.handover import about_to_wait
from datasets.models import Dataset, Fetch, database
from datasets.serving.bars_request import Answer, BarsRequest

# Between two looks at a fetch: quick at first, as many end within 100 ms.
_FIRST_LOOK_S, _LAST_LOOK_S = 0.02, 0.25
# How many requests of one process may wait for fetches at a time: the others are told to
# come back, so that readers of cached bars always find a thread.
MAX_WAITING = settings.WEB_THREADS - max(1, min(16, settings.WEB_THREADS // 4))
_waiting = threading.BoundedSemaphore(MAX_WAITING)

# --- finding -----------------------------------------------------------------------------


def _allow() -> None:
    """Anybody may."""


def find_answer(
    request: BarsRequest, *, via: str, by: str = "", before_fetch: Callable[[], None] = _allow
) -> Answer | Fetch:
    """Return what answers the request, or the fetch that is still on its way after `wait_s`.

    `before_fetch` is called when a fetch has to be begun and none can be joined; it may raise
    `Refused`. A stale dataset that may be served is served all the same.

    Raises
    ------
    Disabled
        `TV_ENABLED=0`.
    InvalidRequest
        A fresh fetch is asked for and the dataset is pinned.
    FetchError
        The fetch failed, or will not be tried again before `wait_s` is over.
    Refused
        By `before_fetch`, or because the queue is full.
    """
    require_enabled()
    stale = None
    if request.use_cache:
        found = find_cached(request)
        if found is not None and not found.is_stale:
            return found
        stale = found
    can_wait = stale is not None and _may_serve_stale(stale.dataset, request)
    try:
        if not fetch_queue.is_on_its_way(request.key):
            before_fetch()
        fetch = join_or_start(request, via=via, by=by)
    except Refused:
        if stale is not None and can_wait:
            return stale
        raise
    if isinstance(fetch, Answer):
        return fetch
    if stale is not None and can_wait:
        return stale
    return _fetched(request, fetch)


def find_cached(request: BarsRequest) -> Answer | None:
    """Return the dataset on disk that can answer the request, stale or not, or None.

    The first fresh one in the order of `choice`, else the first. A dataset whose file is missing
    or is another than recorded is looked into first.
    """
    stale = None
    for dataset in _candidates(request.key):
        if not _is_on_disk(dataset):
            continue
        if not is_stale(dataset, request.max_age_s):
            return Answer(dataset, is_cached=True)
        stale = stale or Answer(dataset, is_cached=True, is_stale=True)
    return stale


def _candidates(key: DatasetKey) -> Iterable[Dataset]:
    """Return the datasets of the key's series that hold enough bars, in any state, by `choice.ORDER`."""
    wanted = key.as_dict()
    wanted["n_bars__gte"] = wanted.pop("n_bars")
    # Django writes the conditions in the order of their names.
    names = tuple(sorted(wanted))
    return Dataset.objects.raw(_candidates_sql(names), [wanted[name] for name in names])


@cache
def _candidates_sql(names: tuple[str, ...]) -> str:
    """Return the query as Django writes it, once: composing it costs five times the query."""
    query = Dataset.objects.filter(**dict.fromkeys(names, 1)).order_by(*selection.ORDER).query
    return str(query.sql_with_params()[0])


def is_stale(dataset: Dataset, max_age_s: int | None = None) -> bool:
    """Return whether the dataset is older than `max_age_s`, or `TV_CACHE_TTL_S`, allows."""
    return _stale_for(dataset, max_age_s) > 0


def _stale_for(dataset: Dataset, max_age_s: int | None) -> float:
    """Return for how many seconds the dataset has been too old, 0 or less when it is not."""
    if max_age_s is None:
        # Pinned: kept as it is on purpose, so no general rule makes it too old.
        if not settings.TV_CACHE_TTL_S or dataset.is_pinned:
            return 0.0
        max_age_s = settings.TV_CACHE_TTL_S
    return freshness.stale_for(dataset.fetched_at, timezone.now(), max_age_s)


def _may_serve_stale(dataset: Dataset, request: BarsRequest) -> bool:
    return _stale_for(dataset, request.max_age_s) <= request.max_stale_s


def _is_on_disk(dataset: Dataset) -> bool:
    """Return whether the dataset's file is there and whole; look into one that is not as recorded."""
    is_ready = dataset.state == Dataset.State.READY
    if not is_ready and not (dataset.is_pinned and dataset.state == Dataset.State.MISSING):
        return False
    recorded = (dataset.bytes, dataset.modified_ns)
    with suppress(StoreError):
        if is_ready and outputs.get_store().version(dataset.path) == recorded:
            return True
    with suppress(StoreError):
        # It puts the row right, whatever it finds.
        catalog.read(dataset)
        return True
    return False


# --- fetching ----------------------------------------------------------------------------


def request_fetch(key: DatasetKey, *, via: str, by: str = "") -> Fetch:
    """Return the key's running fetch, or a new one that has been handed to the workers.

    Raises `InvalidRequest` when the dataset is pinned.
    """
    require_enabled()
    fetch = join_or_start(BarsRequest(key, use_cache=False), via=via, by=by)
    assert isinstance(fetch, Fetch)
    return fetch


def refresh(dataset: Dataset, *, via: str, by: str = "") -> Fetch:
    """Return a fetch that replaces the dataset, as `request_fetch` does.

    Raises `InvalidRequest` when the dataset is pinned, or comes from another source than
    this service fetches from.
    """
    if dataset.source != settings.TV_SOURCE:
        sentence = (
            f"{dataset} is of the source {dataset.source!r} and this service fetches from {settings.TV_SOURCE!r}. "
            f"Nothing was queued; start the service with TV_SOURCE={dataset.source} to fetch it again."
        )
        raise InvalidRequest({"source": [sentence]})
    return request_fetch(dataset.key, via=via, by=by)


def join_or_start(request: BarsRequest, *, via: str, by: str) -> Answer | Fetch:
    """Return the key's running fetch, a new one, or what a fetch that has just ended left."""
    outputs.require_folder(request.key.source)
    with transaction.atomic():
        refuse_pinned(request.key)
        fetch, is_new = fetch_queue.open_fetch(request.key, via=via, by=by)
        if is_new and request.use_cache:
            # Only now is it certain that none runs: one may have ended since we looked.
            found = find_cached(request)
            if found is not None and not found.is_stale:
                fetch.delete()
                return found
        if is_new:
            transaction.on_commit(lambda: tasks.enqueue(fetch.pk))
    return fetch


def refuse_pinned(key: DatasetKey) -> None:
    """Raise `InvalidRequest` when the key's dataset is pinned, `StoreError` when its file is away too."""
    pinned = Dataset.pinned(key).first()
    if pinned is None:
        return
    if pinned.state in Dataset.ON_DISK:
        reason = "is pinned and is not replaced; unpin it in the admin first"
        if pinned.state == Dataset.State.SUPERSEDED:
            reason += f"; a newer fetch contradicts it, so only /api/tv/datasets/{pinned.pk}/bars gives its bars"
        raise InvalidRequest({"use_cache": [f"{key} {reason}."]})
    kind = errors.FileCorrupt if pinned.state == Dataset.State.CORRUPT else errors.FileMissing
    error = kind(
        f"{key} is pinned, so that no fetch replaces it, and its file is {pinned.state}. "
        "Put the file back, or unpin the dataset in the admin to have it fetched again."
    )
    # Only a person can help.
    error.retryable = False
    raise error


def _fetched(request: BarsRequest, fetch: Fetch) -> Answer | Fetch:
    fetch = wait_for(fetch, wait_s=request.wait_s)
    raise_failure(fetch)
    if not fetch.is_finished:
        return fetch
    if fetch.dataset is None:
        raise errors.StoreFailed(
            f"{request.key} was removed right after it was fetched; ask again."
        )
    return Answer(fetch.dataset, is_cached=False)


def wait_for(fetch: Fetch, *, wait_s: float) -> Fetch:
    """Return the fetch as it is when it has ended, or after `wait_s` seconds.

    Returns earlier when its next attempt will come too late to be waited for, and when too
    many requests of this process are waiting already.
    """
    if wait_s <= 0 or fetch.is_finished or not _waiting.acquire(blocking=False):
        return fetch
    about_to_wait()
    try:
        return _look_until(fetch, time.monotonic() + wait_s)
    finally:
        _waiting.release()


def _look_until(fetch: Fetch, deadline: float) -> Fetch:
    pause_s = _FIRST_LOOK_S
    while not fetch.is_finished and not _comes_too_late(fetch, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        database.give_connection_back()
        time.sleep(min(pause_s, left))
        pause_s = min(pause_s * 1.5, _LAST_LOOK_S)
        fetch.refresh_from_db()
    return fetch


def _comes_too_late(fetch: Fetch, deadline: float) -> bool:
    if fetch.next_attempt_at is None or not fetch.error_code:
        return False
    seconds = (fetch.next_attempt_at - timezone.now()).total_seconds()
    return bool(seconds > max(deadline - time.monotonic(), 0))


def raise_failure(fetch: Fetch) -> None:
    """Raise what ended the fetch, or its last attempt, if that was not a success."""
    if fetch.state == Fetch.State.CANCELLED:
        raise errors.FetchCancelled(
            f"The fetch of {fetch.key} was cancelled; ask again to start another."
        )
    if fetch.error_code and fetch.state in (Fetch.State.FAILED, Fetch.State.QUEUED):
        raise failure(fetch)


def failure(fetch: Fetch) -> FetchError:
    """Return the error that the fetch's row tells of."""
    error_class = errors.all_codes().get(fetch.error_code, FetchError)
    if not issubclass(error_class, FetchError):
        error_class = FetchError
    error = error_class(fetch.error_message)
    error.subject = str(fetch.key)
    if fetch.next_attempt_at is not None:
        error.retry_after_s = max(0.0, (fetch.next_attempt_at - timezone.now()).total_seconds())
    return error


def invalidate(dataset: Dataset) -> None:
    """Take the dataset out of what answers; it is fetched again when next asked for.

    Raises what `invalidation.invalidate` does.
    """
    invalidation.invalidate(outputs.get_store(), dataset)


def require_enabled() -> None:
    """Raise `Disabled` when the operator has turned the service off."""
    if not settings.TV_ENABLED:
        raise Disabled("Fetching and the API are turned off (TV_ENABLED=0); the admin still works.")
