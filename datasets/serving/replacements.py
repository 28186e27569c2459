"""Replacement of one dataset on request: fetch it again, or invalidate it."""

from __future__ import annotations

from django.conf import settings

from datasets.bars import IMPORTED, DatasetKey
from datasets.catalog import invalidation, outputs
from datasets.errors import InvalidRequest
from datasets.models import Dataset, Fetch
from datasets.serving.bars_request import BarsRequest
from datasets.serving.fetch_requests import join_or_start
from datasets.serving.permissions import require_enabled


def request_fetch(key: DatasetKey, *, via: str, by: str = "") -> Fetch:
    """Return the key's running fetch, or a new one that is queued for the workers.

    Raises `InvalidRequest` when the dataset is pinned, and `Disabled` with `TV_ENABLED=0`.
    """
    require_enabled()
    fetch = join_or_start(BarsRequest(key, use_cache=False), via=via, by=by)
    assert isinstance(fetch, Fetch)
    return fetch


def refresh(dataset: Dataset, *, via: str, by: str = "") -> Fetch:
    """Return the fetch that replaces the dataset: a running one, or a new one.

    Raises `InvalidRequest` when the dataset is pinned, or its source is not
    the one that this service fetches from.
    """
    if dataset.source == IMPORTED:
        sentence = f"{dataset} came from a file, so no feed can bring it again. Import the file again: docs/importing.md."
        raise InvalidRequest({"source": [sentence]})
    if dataset.source != settings.TV_SOURCE:
        sentence = (
            f"{dataset} is of the source {dataset.source!r} and this service fetches from {settings.TV_SOURCE!r}. "
            f"Nothing was queued; start the service with TV_SOURCE={dataset.source} to fetch it again."
        )
        raise InvalidRequest({"source": [sentence]})
    return request_fetch(dataset.key, via=via, by=by)


def invalidate(dataset: Dataset) -> None:
    """Take the dataset out of the answers; the next request for its bars starts a fetch.

    Raises what `catalog.invalidation.invalidate` raises.
    """
    invalidation.invalidate(outputs.get_store(), dataset)
