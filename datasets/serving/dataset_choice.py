"""Which dataset answers a request, and whether it is stale."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache

from django.conf import settings
from django.utils import timezone

from datasets import catalog
from datasets.bars import DatasetKey, freshness, selection
from datasets.catalog import outputs
from datasets.errors import StoreError
from datasets.models import Dataset
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.trust import Trusted, distrust_all

_trusted: Trusted[tuple[DatasetKey, int | None], Answer] = Trusted()


def find_cached(request: BarsRequest) -> Answer | None:
    """Return the dataset on disk that answers the request, stale or not, or None.

    The first fresh dataset in the order of `selection.ORDER` wins, else the first stale one. A
    dataset whose file is missing or differs from its row is verified first. A fresh dataset is
    trusted for `WEB_TRUST_MS`: the next reads look neither at its row nor at its file.
    """

    def is_fresh(answer: Answer) -> bool:
        return not is_stale(answer.dataset, request.max_age_s)

    wanted = (request.key, request.max_age_s)
    return _trusted.get(wanted, lambda: _choose(request), is_lasting=is_fresh)


def _choose(request: BarsRequest) -> Answer | None:
    stale = None
    for dataset in _candidates(request.key):
        if not _is_on_disk(dataset):
            continue
        if not is_stale(dataset, request.max_age_s):
            return Answer(dataset, is_cached=True)
        stale = stale or Answer(dataset, is_cached=True, is_stale=True)
    return stale


def _candidates(key: DatasetKey) -> Iterable[Dataset]:
    """Return the series' datasets with enough bars, in any state, by `selection.ORDER`."""
    wanted = key.as_dict()
    wanted["n_bars__gte"] = wanted.pop("n_bars")
    # Django writes the conditions in the order of their names.
    names = tuple(sorted(wanted))
    return Dataset.objects.raw(_candidates_sql(names), [wanted[name] for name in names])


@cache
def _candidates_sql(names: tuple[str, ...]) -> str:
    """Return the SQL that Django composes, cached: composing costs five times the query."""
    query = Dataset.objects.filter(**dict.fromkeys(names, 1)).order_by(*selection.ORDER).query
    return str(query.sql_with_params()[0])


def _is_on_disk(dataset: Dataset) -> bool:
    """Return whether the dataset's file is present and whole; verify a file that differs from its row."""
    is_ready = dataset.state == Dataset.State.READY
    if not is_ready and not (dataset.is_pinned and dataset.state == Dataset.State.MISSING):
        return False
    recorded = (dataset.bytes, dataset.modified_ns)
    with suppress(StoreError):
        if is_ready and outputs.get_store().version(dataset.path) == recorded:
            return True
    # The read also corrects the row's state, in either case.
    distrust_all()
    with suppress(StoreError):
        catalog.read(dataset)
        return True
    return False


def is_stale(dataset: Dataset, max_age_s: int | None = None) -> bool:
    """Return whether the dataset is older than `max_age_s`, or than `TV_CACHE_TTL_S` without it."""
    return stale_for_s(dataset, max_age_s) > 0


def stale_for_s(dataset: Dataset, max_age_s: int | None) -> float:
    """Return the seconds since the dataset became stale; 0 or less while it is fresh."""
    if max_age_s is None:
        # The general rule leaves out pinned datasets: an operator keeps them on purpose.
        if not settings.TV_CACHE_TTL_S or dataset.is_pinned:
            return 0.0
        max_age_s = settings.TV_CACHE_TTL_S
    return freshness.stale_for(dataset.fetched_at, timezone.now(), max_age_s)
