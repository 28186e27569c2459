"""Take a dataset out of what answers, for the service and for everybody who reads files."""

from __future__ import annotations

from django.db import transaction

from datasets.errors import InvalidRequest
from datasets.models import Dataset
from datasets.storage.store import INVALIDATED, Store


def invalidate(store: Store, dataset: Dataset) -> None:
    """Move the dataset's file to `invalidated/` and say so in its row; the next request fetches it.

    A process that is killed between the two leaves a row whose file is missing, which is fetched
    again too. Does nothing when a later fetch has put its file there meanwhile.

    Raises `InvalidRequest` when the dataset is pinned, `StoreFailed` when the file cannot be moved
    and `StoreUnavailable` when its folder is away.
    """
    with transaction.atomic():
        row = Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
        if row is None:
            return
        if row.is_pinned:
            raise InvalidRequest(
                {"id": [f"{row} is pinned and is not replaced; unpin it in the admin first."]}
            )
        if store.delete(row.path, fetched_at=row.fetched_at, aside=INVALIDATED):
            Dataset.objects.filter(pk=row.pk).update(state=Dataset.State.INVALIDATED)


def supersede(store: Store, dataset: Dataset) -> None:
    """Take a dataset that a newer fetch contradicts out of what answers.

    It is invalidated; a pinned one stays where it is, with a mark beside it for those who read
    files. Does nothing when it has been fetched again or removed since `dataset` was read.
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
