"""One file and its row brought together: the file is right, and the row is updated to describe it."""

from __future__ import annotations

import logging
from contextlib import suppress
from enum import Enum, auto

import pyarrow as pa
from django.db import DatabaseError, transaction

from datasets.catalog import invalidation, records
from datasets.catalog.contradictions import find_contradicted
from datasets.catalog.outputs import get_store
from datasets.errors import FileMissing, StoreError
from datasets.models import Dataset, Fetch
from datasets.storage import StoredFile, relative_path

logger = logging.getLogger(__name__)


class Recorded(Enum):
    """The result of comparing a file with its row."""

    KNOWN = auto()  # the row already described the file
    ADOPTED = auto()  # the row was updated to describe the file
    REPLACED = auto()  # the row was left alone: another file has replaced this one


def read_and_reconcile(dataset: Dataset) -> tuple[pa.Table, Recorded]:
    """Read the dataset's file, correct `dataset` and its row, and return the bars; errors as for `read`."""
    store = get_store()
    while True:
        try:
            table, stored = store.read(dataset.path, recorded=dataset.version)
        except StoreError as error:
            set_unreadable(dataset, error)
            if dataset.state == Dataset.State.INVALIDATED:
                raise FileMissing(
                    f"{dataset} was invalidated and its file was set aside; asking for its bars fetches it again."
                ) from error
            raise
        if is_recorded(dataset, stored):
            return table, Recorded.KNOWN
        recorded = _update_row(dataset, table, stored)
        # Otherwise these bars are not those of the row, or the dataset was invalidated: read again.
        if recorded is not Recorded.REPLACED and dataset.state in Dataset.ON_DISK:
            return table, recorded


def _update_row(dataset: Dataset, table: pa.Table, stored: StoredFile) -> Recorded:
    """Update the row and `dataset` to describe the file, and supersede the older of contradicting datasets."""
    try:
        with transaction.atomic():
            recorded = record_unless_replaced(stored)
            # A dataset that was deleted with its file is found by the next read of the file.
            with suppress(Dataset.DoesNotExist):
                dataset.refresh_from_db()
        if recorded is Recorded.ADOPTED:
            # After the transaction: with the row still locked, a worker that locks both rows in
            # the other order would cause a deadlock.
            supersede_older(table, stored)
            with suppress(Dataset.DoesNotExist):
                dataset.refresh_from_db()
        return recorded
    except DatabaseError as error:
        # The disk is full or the database is busy. The bars are served with the file's own
        # metadata, and the next reader tries again.
        logger.warning("dataset %s: the row could not be updated: %s", dataset.pk, error)
        for name, value in records.row_values(stored).items():
            setattr(dataset, name, value)
        return Recorded.KNOWN


def record_unless_replaced(stored: StoredFile) -> Recorded:
    """Update the row to describe the file, unless another file has replaced this one.

    If the dataset was invalidated after this fetch, its file is set aside instead.
    """
    key, path = stored.facts.key, relative_path(stored.facts.key)
    with transaction.atomic():
        # A worker that is about to record this file holds a lock on its fetch's row until then.
        running = Fetch.objects.filter(**key.as_dict(), state=Fetch.State.RUNNING)
        running.select_for_update().first()
        # Locked before the file's version is read, because a writer replaces the file before the row.
        row = Dataset.objects.select_for_update().filter(path=path).first()
        try:
            is_present = get_store().version(path) == stored.version
        except FileMissing:
            is_present = False
        if not is_present:
            return Recorded.REPLACED
        if row is not None and is_recorded(row, stored):
            return Recorded.KNOWN
        is_same_fetch = row is not None and row.fetched_at == stored.facts.fetched_at
        if row is not None and is_same_fetch and row.state == Dataset.State.INVALIDATED:
            invalidation.invalidate(get_store(), row)
            return Recorded.KNOWN
        records.record(stored)
        if row is not None and is_same_fetch and row.state == Dataset.State.SUPERSEDED:
            Dataset.objects.filter(pk=row.pk).update(state=row.state)
    return Recorded.ADOPTED


def supersede_older(table: pa.Table, stored: StoredFile) -> None:
    """Compare an adopted dataset with the others of its series, and supersede the older of each two that differ."""
    store, facts = get_store(), stored.facts
    adopted = Dataset.find(facts.key)
    contradicted = find_contradicted(store, facts.key, table, facts.last_bar_final)
    for other in contradicted:
        # Of two of the same age the adopted one is superseded, because its origin is unknown.
        is_older = adopted is not None and adopted.fetched_at <= other.fetched_at
        invalidation.supersede(store, adopted if adopted is not None and is_older else other)


def is_recorded(dataset: Dataset, stored: StoredFile) -> bool:
    """Return whether the row describes this file; False in a state without a file at its path."""
    if dataset.state not in Dataset.ON_DISK:
        return False
    recorded = (dataset.content_hash, dataset.version, dataset.fetched_at)
    return recorded == (
        stored.facts.content_hash,
        stored.version,
        stored.facts.fetched_at,
    )


def state_after(error: StoreError) -> Dataset.State:
    """Return the state of a dataset whose file raised the error: missing or corrupt."""
    return Dataset.State.MISSING if isinstance(error, FileMissing) else Dataset.State.CORRUPT


def set_unreadable(dataset: Dataset, error: StoreError) -> None:
    """Set the state of the row to missing or corrupt, and move a corrupt file to quarantine.

    The row and the file stay as they are if the file has been replaced or deleted meanwhile.
    """
    state = state_after(error)
    is_same_file = True
    if state == Dataset.State.CORRUPT:
        with transaction.atomic():
            # Locked, because no writer may replace the file between its check and its move.
            Dataset.objects.select_for_update().filter(pk=dataset.pk).first()
            kept = get_store().quarantine(dataset.path)
        is_same_file = kept is not None
        if kept is None:
            logger.warning("dataset %s: %s The file was replaced meanwhile.", dataset.pk, error)
        else:
            logger.error("dataset %s: %s It was moved to %s.", dataset.pk, error, kept)
    if is_same_file:
        same = Dataset.objects.filter(pk=dataset.pk, version=dataset.version)
        same.exclude(state=Dataset.State.INVALIDATED).exclude(state=state).update(state=state)
    found = Dataset.objects.filter(pk=dataset.pk).values_list("state", flat=True).first()
    dataset.state = found or state
