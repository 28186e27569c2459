"""Answer one request for bars: from the catalog, else ask for a fetch and wait for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from datasets import catalog, errors, fetching, tasks
from datasets.bars import DatasetKey
from datasets.errors import Disabled, FetchError, NotFound, StoreError
from datasets.models import Dataset, Fetch

# Between two looks at a fetch: quick at first, as many end within 100 ms.
_FIRST_LOOK_S, _LAST_LOOK_S = 0.02, 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """Bars to serve: the catalog's row, its table, and whether no fetch was needed."""

    dataset: Dataset
    table: pa.Table
    is_cached: bool


def get_bars(
    key: DatasetKey, *, use_cache: bool = True, wait_s: float = 30.0, via: str, by: str = ""
) -> Answer | Fetch:
    """Return the key's bars, or the fetch that is still getting them after `wait_s` seconds.

    Raises
    ------
    Disabled
        `TV_ENABLED=0`.
    FetchError
        The fetch failed, or will not be tried again before `wait_s` is over.
    """
    require_enabled()
    if use_cache:
        cached = find_cached(key)
        if cached is not None:
            return cached
    fetch = request_fetch(key, via=via, by=by)
    fetch = wait_for(fetch, wait_s=wait_s)
    raise_failure(fetch)
    if not fetch.is_finished:
        return fetch
    answer = find_cached(key, count_hit=False)
    if answer is None:
        raise errors.StoreFailed(
            f"The file of {key} was removed right after it was fetched; ask again."
        )
    return Answer(answer.dataset, answer.table, is_cached=False)


def find_cached(key: DatasetKey, *, count_hit: bool = True) -> Answer | None:
    """Return the key's bars from disk when they may be served, else None.

    A file that somebody deleted, or that is no longer what was recorded, makes its row say
    so; the caller then fetches again.
    """
    dataset = Dataset.objects.filter(**key.as_dict(), state=Dataset.State.READY).first()
    if dataset is None or is_stale(dataset):
        return None
    try:
        table = catalog.read(dataset)
    except StoreError:
        return None
    if count_hit:
        Dataset.objects.filter(pk=dataset.pk).update(
            hits=F("hits") + 1, last_served_at=timezone.now()
        )
    return Answer(dataset, table, is_cached=True)


def is_stale(dataset: Dataset) -> bool:
    """Return whether the dataset is older than `TV_CACHE_TTL_S` allows."""
    limit = settings.TV_CACHE_TTL_S
    return bool(limit) and dataset.fetched_at < timezone.now() - timedelta(seconds=limit)


def request_fetch(key: DatasetKey, *, via: str, by: str = "") -> Fetch:
    """Return the key's running fetch, or a new one that has been handed to the workers."""
    require_enabled()
    with transaction.atomic():
        fetch, is_new = fetching.open_fetch(key, via=via, by=by)
        if is_new:
            transaction.on_commit(lambda: tasks.enqueue(fetch.pk))
    return fetch


def wait_for(fetch: Fetch, *, wait_s: float) -> Fetch:
    """Return the fetch as it is when it has ended, or after `wait_s` seconds.

    Returns earlier when its next attempt will come too late to be waited for.
    """
    deadline = time.monotonic() + wait_s
    pause_s = _FIRST_LOOK_S
    while not fetch.is_finished and not _comes_too_late(fetch, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        time.sleep(min(pause_s, left))
        pause_s = min(pause_s * 1.5, _LAST_LOOK_S)
        fetch.refresh_from_db()
    return fetch


def _comes_too_late(fetch: Fetch, deadline: float) -> bool:
    if fetch.next_attempt_at is None or not fetch.error_code:
        return False
    seconds = (fetch.next_attempt_at - timezone.now()).total_seconds()
    return seconds > max(deadline - time.monotonic(), 0)


def raise_failure(fetch: Fetch) -> None:
    """Raise what ended the fetch, or its last attempt, if that was not a success."""
    if fetch.state == Fetch.State.CANCELLED:
        raise NotFound(f"The fetch of {fetch.key} was cancelled; ask again to start another.")
    if fetch.error_code and fetch.state in (Fetch.State.FAILED, Fetch.State.QUEUED):
        raise failure(fetch)


def failure(fetch: Fetch) -> FetchError:
    """Return the error that the fetch's row tells of."""
    error_class = errors.all_codes().get(fetch.error_code, FetchError)
    if not issubclass(error_class, FetchError):
        error_class = FetchError
    error = error_class(fetch.error_message)
    if fetch.next_attempt_at is not None:
        error.retry_after_s = max(0.0, (fetch.next_attempt_at - timezone.now()).total_seconds())
    return error


def invalidate(dataset: Dataset) -> None:
    """Make the dataset one that is fetched again when next asked for; the file stays."""
    Dataset.objects.filter(pk=dataset.pk).update(state=Dataset.State.INVALIDATED)


def require_enabled() -> None:
    """Raise `Disabled` when the operator has turned the service off."""
    if not settings.TV_ENABLED:
        raise Disabled("Fetching and the API are turned off (TV_ENABLED=0); the admin still works.")
