"""Datasets taken out of use, for the service and for programs that read files."""

from __future__ import annotations

from django.db import transaction

from datasets.errors import InvalidRequest
from datasets.models import Dataset
from datasets.storage import INVALIDATED, Store


def invalidate(store: Store, dataset: Dataset) -> bool:
    """Move the dataset's file to `invalidated/` and mark its row; the next request fetches it again.

    A process that is killed between the two steps leaves a row whose file is missing; that
    dataset is fetched again too. Returns False, and changes nothing, if a later fetch has replaced
    the file meanwhile or the row is gone.

    Raises `InvalidRequest` if the dataset is pinned, `StoreFailed` if the file cannot be moved,
    and `StoreUnavailable` if the folder of its source is not there.
    """
    with transaction.atomic():
        row = Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
        if row is None:
            return False
        if row.is_pinned:
            raise InvalidRequest(
                {"id": [f"{row} is pinned and is not replaced; unpin it in the admin first."]}
            )
        if not store.delete(row.path, fetched_at=row.fetched_at, aside=INVALIDATED):
            return False
        Dataset.objects.filter(pk=row.pk).update(state=Dataset.State.INVALIDATED)
        return True


def supersede(store: Store, dataset: Dataset) -> None:
    """Take a dataset out of use that a newer fetch contradicts.

    The dataset is invalidated. The file of a pinned dataset stays in its place, with a mark
    beside it for programs that read files. Does nothing if the dataset was fetched again or
    removed after `dataset` was loaded.
    """
    with transaction.atomic():
        unchanged = Dataset.objects.select_for_update().filter(
            pk=dataset.pk, fetched_at=dataset.fetched_at, state=Dataset.State.READY
        )
        row = unchanged.first()
        if row is None:
            return
        if not row.is_pinned:
            invalidate(store, row)
            return
        store.mark_superseded(row.path)
        unchanged.update(state=Dataset.State.SUPERSEDED)
