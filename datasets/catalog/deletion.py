"""Deletion of a dataset: its file and its row."""

from __future__ import annotations

from django.db import transaction

from datasets.catalog.outputs import get_store
from datasets.errors import InvalidRequest
from datasets.models import AuditEntry, Dataset
from datasets.storage import TRASH


def delete(dataset: Dataset, *, by: str = "", via: str = "command") -> None:
    """Move the dataset's file to `trash/` and delete its row; `by` and `via` are for the audit.

    Raises `InvalidRequest` if the dataset is pinned or was fetched again after `dataset` was
    loaded, and `StoreFailed` if the file could not be moved.
    """
    if remove(dataset, aside=TRASH, by=by, via=via):
        return
    current = Dataset.objects.filter(pk=dataset.pk).first()
    if current is not None:
        reason = (
            "is pinned and is not deleted; unpin it in the admin first"
            if current.is_pinned
            else "was fetched again meanwhile and is not deleted; look at it, then delete it"
        )
        raise InvalidRequest({"id": [f"{dataset} {reason}."]})


def remove(dataset: Dataset, *, aside: str = "", by: str = "", via: str = "command") -> bool:
    """Delete the dataset's file, then its row; return False if it is pinned or was fetched again.

    With `aside` the file is moved to that folder, where it stays until `manage.py tidy`.
    """
    # Choosing among many datasets takes time, in which this one may be pinned or fetched again.
    with transaction.atomic():
        unchanged = Dataset.objects.select_for_update().filter(
            pk=dataset.pk, is_pinned=False, fetched_at=dataset.fetched_at
        )
        row = unchanged.first()
        if row is None:
            return False
        # Refused if a worker has already written a newer file and has not recorded it yet.
        if not get_store().delete(row.path, fetched_at=row.fetched_at, aside=aside):
            return False
        action = AuditEntry.Action.DELETED if aside else AuditEntry.Action.PRUNED
        AuditEntry.record(action, row, by=by, via=via, detail=row.path)
        row.delete()
    return True
