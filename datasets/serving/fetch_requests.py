"""Ask for the fetches of many datasets at once: all are checked first, then queued in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction

from datasets import serving
from datasets.bars import DatasetKey
from datasets.errors import DatasetsError, InvalidRequest, Refused, StoreError
from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch
from datasets.serving.bars_request import Answer, BarsRequest


@dataclass(slots=True)
class Outcome:
    """What came of one key: a fetch, a dataset that is fresh already, or a refusal."""

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
    """Return what came of each key, in the order given.

    With `use_cache` a fresh dataset is left as it is. `before_fetch` is called for each key
    whose fetch has to be begun; it may raise `Refused`. A key that is refused does not keep
    the others from being fetched. Raises `Disabled`, and what the queue fails with: then
    none is queued.
    """
    serving.require_enabled()
    requests = [BarsRequest(key, use_cache=use_cache) for key in keys]
    outcomes = [_check(request, before_fetch) for request in requests]
    with transaction.atomic():
        for request, outcome in zip(requests, outcomes, strict=True):
            if outcome.dataset is None and outcome.refusal is None:
                _begin(request, outcome, via=via, by=by)
    return outcomes


def _check(request: BarsRequest, before_fetch: Callable[[], None]) -> Outcome:
    """Return the outcome where no fetch is to be begun; else an empty one."""
    outcome = Outcome(request.key)
    try:
        found = serving.find_cached(request) if request.use_cache else None
        if found is not None and not found.is_stale:
            outcome.dataset = found.dataset
            return outcome
        serving.refuse_pinned(request.key)
        if not fetch_queue.is_on_its_way(request.key):
            before_fetch()
    except (InvalidRequest, Refused, StoreError) as error:
        outcome.refusal = error
    return outcome


def _begin(request: BarsRequest, outcome: Outcome, *, via: str, by: str) -> None:
    try:
        begun = serving.join_or_start(request, via=via, by=by)
    except (InvalidRequest, Refused, StoreError) as error:
        outcome.refusal = error
        return
    if isinstance(begun, Answer):
        outcome.dataset = begun.dataset
    else:
        outcome.fetch = begun
