"""Rows for files that have none, and states for rows without a file: the catalog is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator

from datasets.catalog import outputs
from datasets.catalog.bulk.row_order import in_pages
from datasets.catalog.reconciliation import (
    Recorded,
    is_recorded,
    record_unless_replaced,
    set_unreadable,
    state_after,
    supersede_older,
)
from datasets.catalog.verification import Finding
from datasets.errors import FileCorrupt, StoreError, StoreFailed, StoreUnavailable
from datasets.models import Dataset, Series
from datasets.storage import Store


def require_folders(*, accept_empty: bool = False) -> None:
    """Raise `StoreUnavailable` if a source has datasets or series in the catalog and their folder is not there.

    With `accept_empty` such folders are accepted as they are, and their files are then missing.
    """
    ready = Dataset.objects.filter(state=Dataset.State.READY).order_by().values_list("source")
    for (source,) in ready.union(Series.objects.order_by().values_list("source")):
        try:
            outputs.require_folder(source)
        except StoreUnavailable:
            if not accept_empty:
                raise
            outputs.accept_folders(source)


def adopt_files() -> Iterator[Finding]:
    """Add a row for every whole file that has none, correct the other rows, and yield the results.

    With an empty catalog this rebuilds the catalog, as after the loss of the database.
    """
    store = outputs.get_store()
    for path in store.all_paths():
        try:
            yield _adopt(store, path)
        except StoreFailed as error:
            # The other files may still be readable.
            yield Finding(path, "unread", str(error))


def _adopt(store: Store, path: str) -> Finding:
    while True:
        row = Dataset.objects.filter(path=path).first()
        try:
            table, stored = store.read(path)
        except StoreError as error:
            if row is not None:
                set_unreadable(row, error)
            elif isinstance(error, FileCorrupt):
                store.quarantine(path)
            return Finding(path, "corrupt", str(error))
        if row is not None and is_recorded(row, stored):
            return Finding(path, "ok")
        recorded = record_unless_replaced(stored)
        if recorded is Recorded.ADOPTED:
            supersede_older(table, stored)
            return Finding(path, "adopted")
        if recorded is Recorded.KNOWN:
            return Finding(path, "ok")


def find_missing() -> Iterator[Finding]:
    """Mark every ready row whose file is not there, and yield the results."""
    version_of = outputs.get_store().lookup()
    ready = Dataset.objects.filter(state=Dataset.State.READY).defer("instrument")
    for dataset in in_pages(ready, ("id",)):
        try:
            version_of(dataset.path)
        except StoreError as error:
            set_unreadable(dataset, error)
            yield Finding(dataset.path, state_after(error).value, str(error))
