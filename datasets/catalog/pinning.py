"""Pins of datasets: a pinned dataset is never pruned, replaced or deleted."""

from __future__ import annotations

from django.db import transaction

from datasets.models import AuditEntry, Dataset


def set_pinned(dataset: Dataset, is_pinned: bool, *, by: str = "", via: str = "command") -> None:
    """Pin or unpin the dataset; `by` and `via` are for the audit."""
    action = AuditEntry.Action.PINNED if is_pinned else AuditEntry.Action.UNPINNED
    with transaction.atomic():
        if Dataset.objects.filter(pk=dataset.pk).update(is_pinned=is_pinned):
            AuditEntry.record(action, dataset, by=by, via=via)
