"""Rows for files that have none, and states for rows without a file: the catalog is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from datasets.bars.series_keys import SERIES_FIELDS
from datasets.catalog import outputs, records
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
from datasets.storage import Store, StoredFile, relative_path
from datasets.storage.parallel_reads import FileRead, in_batches, read_each

# Rows written in one transaction.
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file, and the version in its row where only another version is read."""

    path: str
    recorded: str = ""


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


def adopt_files(n_workers: int = 1, *, is_resumed: bool = False) -> Iterator[Finding]:
    """Add a row for every whole file that has none, correct the other rows, and yield the results.

    With an empty catalog this rebuilds the catalog, as after the loss of the database.

    Parameters
    ----------
    n_workers
        Number of processes that read files; threads for a bucket.
    is_resumed
        Read only the files whose rows do not have the file's present version. A rebuild that was
        stopped goes on in this way: its rows are written 500 at a time.
    """
    store = outputs.get_store()
    version_of = store.lookup()

    def path_to_read(file: _Listed) -> str | None:
        try:
            is_right = bool(file.recorded) and version_of(file.path) == file.recorded
        except (StoreError, StoreFailed):
            is_right = False
        return None if is_right else file.path

    listed = _recorded(store.all_paths()) if is_resumed else map(_Listed, store.all_paths())
    for batch in in_batches(read_each(store, listed, path_to_read, n_workers), _AT_A_TIME):
        yield from _adopt_batch(store, {file.path: found for file, found in batch})


def _recorded(paths: Iterator[str]) -> Iterator[_Listed]:
    for some in in_batches(paths, _AT_A_TIME):
        rows = Dataset.objects.filter(path__in=some, state__in=Dataset.ON_DISK)
        versions = dict(rows.values_list("path", "version"))
        yield from (_Listed(path, versions.get(path, "")) for path in some)


def _adopt_batch(store: Store, reads: dict[str, FileRead | None]) -> Iterator[Finding]:
    """Bring the rows of these files in line with what was read of them, and yield the results.

    A file was not read (None) where its row has its version.
    """
    rows = {row.path: row for row in Dataset.objects.filter(path__in=reads).defer("instrument")}
    new: list[StoredFile] = []
    for path, found in reads.items():
        row = rows.get(path)
        if isinstance(found, StoreFailed):
            yield Finding(path, "unread", str(found))
        elif found is None or (
            row is not None and isinstance(found, StoredFile) and is_recorded(row, found)
        ):
            yield Finding(path, "ok")
        elif row is None and isinstance(found, StoredFile):
            new.append(found)
        else:
            yield _adopt(store, path)
    yield from _add(store, new)


def _add(store: Store, files: list[StoredFile]) -> Iterator[Finding]:
    """Add rows for these files, those without another dataset of their series together."""
    symbols = {stored.facts.key.symbol for stored in files}
    known = set(Dataset.objects.filter(symbol__in=symbols).values_list(*SERIES_FIELDS).order_by())
    alone: list[StoredFile] = []
    for stored in files:
        key = stored.facts.key.as_dict()
        series = tuple(key[name] for name in SERIES_FIELDS)
        if series not in known:
            known.add(series)
            alone.append(stored)
    # A file that was replaced or deleted since it was read is left to `_adopt`.
    present = [each for each in alone if _is_present(store, each)]
    records.add_rows(present)
    added = {relative_path(each.facts.key) for each in present}
    for stored in files:
        path = relative_path(stored.facts.key)
        yield Finding(path, "adopted") if path in added else _adopt(store, path)


def _is_present(store: Store, stored: StoredFile) -> bool:
    try:
        return store.is_current(relative_path(stored.facts.key), stored.version)
    except (StoreError, StoreFailed):
        return False


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
