"""Which dataset answers a request, and whether it is stale."""

from __future__ import annotations

from django.conf import settings

from datasets.bars import DatasetKey, age_limits
from datasets.models import Dataset, database
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.candidates import candidates_on_disk
from datasets.serving.trust import Trusted

_trusted: Trusted[tuple[DatasetKey, int | None], Answer] = Trusted()


def find_cached(request: BarsRequest) -> Answer | None:
    """Return the dataset on disk that answers the request, stale or not, or None.

    The first fresh dataset in the order of `selection.ORDER` wins, else the first stale one. A
    dataset whose file is missing or differs from its row is verified first. A fresh dataset is
    trusted for `WEB_TRUST_MS`: the next reads look neither at its row nor at its file.
    """

    def is_fresh(answer: Answer) -> bool:
        return not is_stale(answer.dataset, request.max_age_s)

    def choose() -> Answer | None:
        stale = None
        for dataset in candidates_on_disk(request.key):
            if not is_stale(dataset, request.max_age_s):
                return Answer(dataset, is_cached=True)
            stale = stale or Answer(dataset, is_cached=True, is_stale=True)
        return stale

    return _trusted.get((request.key, request.max_age_s), choose, is_lasting=is_fresh)


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
    return age_limits.stale_for(dataset.fetched_at, database.shared_now(), max_age_s)
