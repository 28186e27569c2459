"""The datasets that may be pruned, chosen by age, use, number and total size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q, Sum

from datasets.catalog.bulk.row_order import in_pages
from datasets.models import LAST_USED, Dataset

_COLUMNS = ("fetched_at", "last_served_at", "bytes", "is_pinned", "path")
_NONE = Q(pk__in=[])


def choose_prunable(
    *,
    fetched_before: datetime | None = None,
    unused_since: datetime | None = None,
    keep_newest: int | None = None,
    total_bytes: int | None = None,
    is_light: bool = False,
) -> Iterator[Dataset]:
    """Yield the datasets to which at least one rule applies, a page in memory at a time; never a pinned one.

    Those of the first three rules come first, oldest fetch first; then those of `total_bytes`,
    least recently used first. The caller may delete each dataset before the next one.

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
    rules = _NONE
    if fetched_before is not None:
        rules |= Q(fetched_at__lt=fetched_before)
    if unused_since is not None:
        unserved = Q(last_served_at=None) | Q(last_served_at__lt=unused_since)
        rules |= Q(fetched_at__lt=unused_since) & unserved
    if keep_newest is not None:
        rules |= _behind(keep_newest)
    chosen = Q(rules, is_pinned=False)
    if rules != _NONE:
        yield from in_pages(rows.filter(chosen), ("fetched_at", "id"))
    if total_bytes is None:
        return
    # A missing file has no size on disk, and files in quarantine are left to `tidy`.
    others = rows.filter(~chosen, state__in=Dataset.ON_DISK)
    excess = (others.aggregate(size=Sum("bytes"))["size"] or 0) - total_bytes
    by_use = others.filter(is_pinned=False).annotate(used_at=LAST_USED)
    for dataset in in_pages(by_use, ("used_at", "id")) if excess > 0 else ():
        yield dataset
        excess -= dataset.bytes
        if excess <= 0:
            return


def _behind(number: int) -> Q:
    """Return the condition of all datasets but the `number` most recently fetched ones."""
    if number == 0:
        return ~_NONE
    newest = Dataset.objects.only("fetched_at").order_by("-fetched_at", "-pk")
    last = newest[number - 1 : number].first()
    if last is None:
        return _NONE
    return Q(fetched_at__lt=last.fetched_at) | Q(fetched_at=last.fetched_at, pk__lt=last.pk)
