"""The datasets that may be pruned, chosen by age, use, number and total size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet

from datasets.models import Dataset

_COLUMNS = ("fetched_at", "last_served_at", "bytes", "is_pinned", "path")


def choose_prunable(
    *,
    fetched_before: datetime | None = None,
    unused_since: datetime | None = None,
    keep_newest: int | None = None,
    total_bytes: int | None = None,
    is_light: bool = False,
) -> list[Dataset]:
    """Return the datasets to which at least one rule applies, oldest fetch first; never a pinned one.

    Parameters
    ----------
    fetched_before
        Choose datasets fetched before this instant (aware).
    unused_since
        Choose datasets neither served nor fetched since this instant (aware).
    keep_newest
        Choose all but this number of most recently fetched datasets.
    total_bytes
        From the datasets left by the other rules, choose the least recently used ones until the
        rest have at most this size.
    is_light
        Load only the columns that the choice and a deletion need, a tenth of a row.
    """
    rows = Dataset.objects.only(*_COLUMNS) if is_light else Dataset.objects.all()
    free = rows.filter(is_pinned=False)
    chosen: dict[int, Dataset] = {}

    def choose(datasets: QuerySet[Dataset]) -> None:
        chosen.update(datasets.in_bulk())

    if fetched_before is not None:
        choose(free.filter(fetched_at__lt=fetched_before))
    if unused_since is not None:
        unfetched = free.filter(fetched_at__lt=unused_since)
        choose(unfetched.exclude(last_served_at__gte=unused_since))
    if keep_newest is not None:
        newest = Dataset.objects.order_by("-fetched_at", "-pk").values("pk")[:keep_newest]
        choose(free.exclude(pk__in=newest))
    if total_bytes is not None:
        # A missing file has no size on disk, and files in quarantine are left to `tidy`.
        on_disk = rows.filter(state__in=Dataset.ON_DISK)
        others = [dataset for dataset in on_disk if dataset.pk not in chosen]
        chosen |= {dataset.pk: dataset for dataset in _over_budget(others, total_bytes)}
    return sorted(chosen.values(), key=lambda dataset: dataset.fetched_at)


def _over_budget(datasets: list[Dataset], total_bytes: int) -> Iterator[Dataset]:
    """Yield unpinned datasets, least recently used first, until the rest have at most `total_bytes`."""

    def last_used(dataset: Dataset) -> datetime:
        return max(dataset.fetched_at, dataset.last_served_at or dataset.fetched_at)

    excess = sum(dataset.bytes for dataset in datasets) - total_bytes
    for dataset in sorted(datasets, key=last_used):
        if excess <= 0:
            return
        if not dataset.is_pinned:
            excess -= dataset.bytes
            yield dataset
