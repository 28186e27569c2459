"""Requests for fetches: of one key, and of many keys in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from datasets import errors, log_context
from datasets.bars import DatasetKey
from datasets.catalog import outputs
from datasets.errors import DatasetsError, InvalidRequest, Refused, StoreError
from datasets.fetching import fetch_queue, fetch_quotas, tasks
from datasets.models import Dataset, Fetch
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.dataset_choice import find_cached
from datasets.serving.permissions import require_enabled


def join_or_start(request: BarsRequest, *, via: str, by: str) -> Answer | Fetch:
    """Return the key's running fetch, a new one, or the dataset of a fetch that has just ended."""
    outputs.require_folder(request.key.source)
    with transaction.atomic():
        refuse_pinned(request.key)
        fetch, is_new = fetch_queue.open_fetch(request.key, via=via, by=by)
        if is_new and request.use_cache:
            # A fetch may have ended between the caller's look and `open_fetch`; its dataset is
            # fresh. Without this second look the bars would be fetched twice.
            found = find_cached(request)
            if found is not None and not found.is_stale:
                fetch.delete()
                fetch_quotas.take_back(by)
                return found
        if is_new:
            transaction.on_commit(lambda: tasks.enqueue(fetch.pk))
    log_context.note_fetch(fetch.pk)
    return fetch


def refuse_pinned(key: DatasetKey) -> None:
    """Raise `InvalidRequest` when the key's dataset is pinned, `StoreError` when its file is missing too."""
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
    # A retry cannot help: a person has to put the file back or unpin the dataset.
    error.retryable = False
    raise error


@dataclass(slots=True)
class Outcome:
    """Result for one key: its fetch, a dataset that is fresh already, or a refusal."""

    key: DatasetKey
    fetch: Fetch | None = None
    dataset: Dataset | None = None
    refusal: DatasetsError | None = None


def request_fetches(
    keys: Sequence[DatasetKey],
    *,
    via: str,
    by: str = "",
    use_cache: bool = True,
    before_fetch: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Return the outcome of each key, in the order of `keys`.

    With `use_cache` a fresh dataset is not fetched again. `before_fetch` is called for each key
    that has no running fetch to join; it may raise `Refused`. The refusal of one key does not
    stop the others. All keys are checked first, then queued in one transaction: when the queue
    fails, its error is raised and no fetch is queued. Raises `Disabled` with `TV_ENABLED=0`.
    """
    require_enabled()
    requests = [BarsRequest(key, use_cache=use_cache) for key in keys]
    outcomes = [_check(request, before_fetch) for request in requests]
    with transaction.atomic():
        for request, outcome in zip(requests, outcomes, strict=True):
            if outcome.dataset is not None or outcome.refusal is not None:
                continue
            try:
                joined = join_or_start(request, via=via, by=by)
            except (InvalidRequest, Refused, StoreError) as error:
                outcome.refusal = error
                continue
            if isinstance(joined, Answer):
                outcome.dataset = joined.dataset
            else:
                outcome.fetch = joined
    return outcomes


def _check(request: BarsRequest, before_fetch: Callable[[], None]) -> Outcome:
    """Return the outcome of a key that needs no fetch or may not have one; else an empty outcome."""
    outcome = Outcome(request.key)
    try:
        found = find_cached(request) if request.use_cache else None
        if found is not None and not found.is_stale:
            outcome.dataset = found.dataset
            return outcome
        refuse_pinned(request.key)
        if not fetch_queue.is_on_its_way(request.key):
            before_fetch()
    except (InvalidRequest, Refused, StoreError) as error:
        outcome.refusal = error
    return outcome
