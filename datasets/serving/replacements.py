"""Replacement of one dataset on request: fetch it again, or invalidate it."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from datasets.bars import IMPORTED, DatasetKey
from datasets.catalog import invalidation, outputs
from datasets.errors import InvalidRequest
from datasets.models import AuditEntry, Dataset, Fetch, Revision, Series
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
    _require_own_source(dataset)
    return request_fetch(dataset.key, via=via, by=by)


def refresh_series(series: Series, *, via: str, by: str = "") -> Fetch:
    """Return the fetch that replaces the series' largest dataset: only the bars that the archive lacks.

    Raises `InvalidRequest` when the series has no dataset that a fetch may replace; otherwise as
    `refresh`.
    """
    free = series.datasets.filter(is_pinned=False).exclude(state=Dataset.State.SUPERSEDED)
    dataset = free.order_by("-n_bars").first()
    if dataset is None:
        raise InvalidRequest(
            {"id": ["The series has no dataset that a fetch may replace; fetch its symbol."]}
        )
    return refresh(dataset, via=via, by=by)


def refetch_window(revision: Revision, *, via: str, by: str = "") -> Fetch:
    """Return a fetch of all bars that TradingView gives of an open revision's series.

    Its bars are compared with the archive once more. Raises `InvalidRequest` for a revision that
    is decided; otherwise as `refresh`.
    """
    if revision.state != Revision.State.OPEN:
        sentence = (
            f"Revision {revision.number} is decided already, so nothing was queued. "
            "The next fetch compares the bars that it has in common with the archive."
        )
        raise InvalidRequest({"revision": [sentence]})
    _require_own_source(revision.series)
    return request_fetch(revision.series.series_key.dataset(settings.TV_MAX_BARS), via=via, by=by)


def _require_own_source(row: Dataset | Series) -> None:
    if row.source == IMPORTED:
        sentence = f"{row} came from a file, so no feed can bring it again. Import the file again: docs/importing.md."
        raise InvalidRequest({"source": [sentence]})
    if row.source != settings.TV_SOURCE:
        sentence = (
            f"{row} is of the source {row.source!r} and this service fetches from {settings.TV_SOURCE!r}. "
            f"Nothing was queued; start the service with TV_SOURCE={row.source} to fetch it again."
        )
        raise InvalidRequest({"source": [sentence]})


def invalidate(dataset: Dataset, *, by: str = "", via: str = "command") -> None:
    """Take the dataset out of the answers; the next request for its bars starts a fetch.

    `by` and `via` are for the audit. Raises what `catalog.invalidation.invalidate` raises.
    """
    with transaction.atomic():
        if invalidation.invalidate(outputs.get_store(), dataset):
            AuditEntry.record(AuditEntry.Action.INVALIDATED, dataset, by=by, via=via)
