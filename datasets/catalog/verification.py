"""Keep the catalog true to the files: read, verify, adopt, rebuild, prune.

The files know best: each says everything of itself, and the rows follow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

import pyarrow as pa
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from datasets.catalog import invalidation, outputs, records
from datasets.catalog.contradictions import find_contradicted
from datasets.errors import (
    FileCorrupt,
    FileMissing,
    InvalidRequest,
    StoreError,
    StoreFailed,
    StoreUnavailable,
)
from datasets.models import Dataset, Fetch
from datasets.storage.paths import relative_path
from datasets.storage.store import TRASH, Store, StoredFile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What looking at one file found, and a sentence.

    `ok`, `adopted`, `missing`, `corrupt`; `gone` for a dataset that is not wanted any more, and
    `unread` where the machine could not read it now.
    """

    path: str
    outcome: str
    detail: str = ""


class Recorded(Enum):
    """How a file and its row were brought together."""

    KNOWN = auto()  # the row said already what the file says
    ADOPTED = auto()  # the row has been made to say it
    REPLACED = auto()  # neither: another file is there by now


def read(dataset: Dataset) -> pa.Table:
    """Return the dataset's bars, checked against the hash that was written with them.

    When the file cannot give them, its row says so before `StoreError` is raised, and what
    is no dataset is moved out of the way. When the file is a whole one but not the one
    recorded, the row is put right: a worker was killed between writing the two, or
    somebody put another file there.
    """
    return _read(dataset)[0]


def _read(dataset: Dataset) -> tuple[pa.Table, Recorded]:
    store = outputs.get_store()
    while True:
        try:
            table, stored = store.read(dataset.path)
        except StoreError as error:
            _set_unreadable(dataset, error)
            if dataset.state == Dataset.State.INVALIDATED:
                raise FileMissing(
                    f"{dataset} was invalidated and its file was set aside; asking for its bars fetches it again."
                ) from error
            raise
        if _is_recorded(dataset, stored):
            return table, Recorded.KNOWN
        recorded = _put_right(dataset, table, stored)
        # Else these bars are not those of the row, or are not wanted any more.
        if recorded is not Recorded.REPLACED and dataset.state in Dataset.ON_DISK:
            return table, recorded


def path_to_read(dataset: Dataset) -> Path:
    """Return where the dataset's file is, once it has been found to be whole; errors as for `read`."""
    read(dataset)
    return outputs.get_store().folder / dataset.path


def verify(dataset: Dataset) -> Finding:
    """Read the dataset's file to its end and say what was found; put its row right."""
    before = dataset.content_hash
    try:
        _, recorded = _read(dataset)
    except StoreError as error:
        is_kept = Dataset.objects.filter(pk=dataset.pk).exclude(state=Dataset.State.INVALIDATED)
        if not is_kept.exists():
            return Finding(dataset.path, "gone", "It was invalidated or deleted.")
        return Finding(dataset.path, _outcome(error), str(error))
    except StoreFailed as error:
        return Finding(dataset.path, "unread", str(error))
    if recorded is Recorded.ADOPTED and dataset.content_hash != before:
        return Finding(dataset.path, "adopted", "The file held other bars than the catalog said.")
    # Also when it was fetched again since its row was looked at.
    return Finding(dataset.path, "ok")


def _outcome(error: StoreError) -> str:
    return "missing" if isinstance(error, FileMissing) else "corrupt"


def require_folders(*, accept_empty: bool = False) -> None:
    """Raise `StoreUnavailable` when the folder of a source that has datasets is away.

    With `accept_empty` such a folder is taken for the right one: its datasets are missing then.
    """
    ready = Dataset.objects.filter(state=Dataset.State.READY).order_by()
    for source in ready.values_list("source", flat=True).distinct():
        try:
            outputs.require_folder(source)
        except StoreUnavailable:
            if not accept_empty:
                raise
            outputs.get_store().accept(source)


def adopt_files() -> Iterator[Finding]:
    """Make a row for every whole file that has none, and put every other row right.

    With an empty catalog this is the rebuilding of it after a lost database.
    """
    store = outputs.get_store()
    for path in store.all_paths():
        try:
            yield _adopt(store, path)
        except StoreFailed as error:
            # It says nothing of the other files.
            yield Finding(path, "unread", str(error))


def _adopt(store: Store, path: str) -> Finding:
    row = Dataset.objects.filter(path=path).first()
    try:
        table, stored = store.read(path)
    except StoreError as error:
        if row is not None:
            _set_unreadable(row, error)
        elif isinstance(error, FileCorrupt):
            store.quarantine(path)
        return Finding(path, "corrupt", str(error))
    if row is not None and _is_recorded(row, stored):
        return Finding(path, "ok")
    recorded = _record(stored)
    if recorded is Recorded.REPLACED:
        return _adopt(store, path)
    if recorded is Recorded.ADOPTED:
        _supersede_older(table, stored)
    return Finding(path, "adopted" if recorded is Recorded.ADOPTED else "ok")


def find_missing() -> Iterator[Finding]:
    """Mark every ready row whose file is not there."""
    store = outputs.get_store()
    for dataset in Dataset.objects.filter(state=Dataset.State.READY).iterator():
        try:
            store.version(dataset.path)
        except StoreError as error:
            _set_unreadable(dataset, error)
            yield Finding(dataset.path, _outcome(error), str(error))


def choose_prunable(
    *,
    fetched_before: datetime | None = None,
    unused_since: datetime | None = None,
    keep_newest: int | None = None,
    total_bytes: int | None = None,
) -> list[Dataset]:
    """Return the datasets that any of the rules lets go, never a pinned one.

    Parameters
    ----------
    fetched_before
        Fetched before this instant.
    unused_since
        Neither served nor fetched since this instant.
    keep_newest
        All but so many of the most recently fetched.
    total_bytes
        The longest unused of those that the other rules keep, until the rest take at most so
        many bytes.
    """
    free = Dataset.objects.filter(is_pinned=False)
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
        # A missing file takes no room, and one in quarantine is not for us to delete.
        on_disk = Dataset.objects.filter(state__in=Dataset.ON_DISK)
        others = [dataset for dataset in on_disk if dataset.pk not in chosen]
        chosen |= {dataset.pk: dataset for dataset in _over_budget(others, total_bytes)}
    return sorted(chosen.values(), key=lambda dataset: dataset.fetched_at)


def delete(dataset: Dataset) -> None:
    """Move the dataset's file to `trash/` and delete its row.

    Raises `InvalidRequest` when the dataset is pinned or has been fetched since it was looked
    at, and `StoreFailed` when the file could not be moved.
    """
    if remove(dataset, aside=TRASH):
        return
    current = Dataset.objects.filter(pk=dataset.pk).first()
    if current is not None:
        reason = (
            "is pinned and is not deleted; unpin it in the admin first"
            if current.is_pinned
            else "was fetched again meanwhile and is not deleted; look at it, then delete it"
        )
        raise InvalidRequest({"id": [f"{dataset} {reason}."]})


def remove(dataset: Dataset, *, aside: str = "") -> bool:
    """Delete the dataset's file, then its row; return False for one pinned or fetched since.

    With `aside` the file is moved to that folder, where it stays until `manage.py tidy`.
    """
    # Choosing among many takes a while, in which somebody may come to want one of them.
    with transaction.atomic():
        unchanged = Dataset.objects.select_for_update().filter(
            pk=dataset.pk, is_pinned=False, fetched_at=dataset.fetched_at
        )
        row = unchanged.first()
        if row is None:
            return False
        # A worker may have put a new file there that it has not recorded yet.
        if not outputs.get_store().delete(row.path, fetched_at=row.fetched_at, aside=aside):
            return False
        row.delete()
    return True


def _over_budget(datasets: list[Dataset], total_bytes: int) -> Iterator[Dataset]:
    excess = sum(dataset.bytes for dataset in datasets) - total_bytes
    for dataset in sorted(datasets, key=_last_used):
        if excess <= 0:
            return
        if not dataset.is_pinned:
            excess -= dataset.bytes
            yield dataset


def _last_used(dataset: Dataset) -> datetime:
    return max(dataset.fetched_at, dataset.last_served_at or dataset.fetched_at)


def _put_right(dataset: Dataset, table: pa.Table, stored: StoredFile) -> Recorded:
    """Make the row and `dataset` say what the file says."""
    try:
        with transaction.atomic():
            recorded = _record(stored)
            # It may have been deleted with its file; that is found out by the next look at the file.
            with suppress(Dataset.DoesNotExist):
                dataset.refresh_from_db()
        if recorded is Recorded.ADOPTED:
            # Not with the row above locked: a worker may lock both the other way round.
            _supersede_older(table, stored)
            with suppress(Dataset.DoesNotExist):
                dataset.refresh_from_db()
        return recorded
    except DatabaseError as error:
        # The disk is full or the database is busy: the bars are served all the same, with
        # what the file says of itself, and the next reader tries again.
        logger.warning("dataset %s: the row could not be put right: %s", dataset.pk, error)
        for name, value in records.row_values(stored).items():
            setattr(dataset, name, value)
        return Recorded.KNOWN


def _record(stored: StoredFile) -> Recorded:
    """Make the row say what the file says, unless another file is there by now.

    The file of a dataset that was invalidated is set aside, until a later fetch writes another.
    """
    key, path = stored.facts.key, relative_path(stored.facts.key)
    with transaction.atomic():
        # A worker that is about to record this file holds its fetch's row until it has.
        running = Fetch.objects.filter(**key.as_dict(), state=Fetch.State.RUNNING)
        running.select_for_update().first()
        # Locked before the look at the file, because a writer replaces the file before the row.
        row = Dataset.objects.select_for_update().filter(path=path).first()
        if not _is_there(path, stored):
            return Recorded.REPLACED
        if row is not None and _is_recorded(row, stored):
            return Recorded.KNOWN
        is_same_fetch = row is not None and row.fetched_at == stored.facts.fetched_at
        if row is not None and is_same_fetch and row.state == Dataset.State.INVALIDATED:
            invalidation.invalidate(outputs.get_store(), row)
            return Recorded.KNOWN
        records.record(stored)
        if row is not None and is_same_fetch and row.state == Dataset.State.SUPERSEDED:
            Dataset.objects.filter(pk=row.pk).update(state=row.state)
    return Recorded.ADOPTED


def _supersede_older(table: pa.Table, stored: StoredFile) -> None:
    """Of the adopted dataset and each of its series that holds other bars, supersede the older."""
    store, facts = outputs.get_store(), stored.facts
    adopted = Dataset.find(facts.key)
    contradicted = find_contradicted(store, facts.key, table, facts.last_bar_final)
    for other in contradicted:
        # Of equal ones the adopted: nobody knows where it comes from.
        is_older = adopted is not None and adopted.fetched_at <= other.fetched_at
        invalidation.supersede(store, adopted if adopted is not None and is_older else other)


def _is_there(path: str, stored: StoredFile) -> bool:
    try:
        return outputs.get_store().version(path) == (stored.bytes, stored.modified_ns)
    except FileMissing:
        return False


def _is_recorded(dataset: Dataset, stored: StoredFile) -> bool:
    if dataset.state not in Dataset.ON_DISK:
        # The file is back.
        return False
    recorded = (dataset.content_hash, dataset.bytes, dataset.modified_ns, dataset.fetched_at)
    return recorded == (
        stored.facts.content_hash,
        stored.bytes,
        stored.modified_ns,
        stored.facts.fetched_at,
    )


def _set_unreadable(dataset: Dataset, error: StoreError) -> None:
    state = Dataset.State.MISSING if isinstance(error, FileMissing) else Dataset.State.CORRUPT
    if state == Dataset.State.CORRUPT:
        kept = outputs.get_store().quarantine(dataset.path)
        if kept is None:
            logger.warning("dataset %s: %s It is another file by now.", dataset.pk, error)
        else:
            logger.error("dataset %s: %s It was moved to %s.", dataset.pk, error, kept)
            _set_state(dataset, state)
    else:
        _set_state(dataset, state)
    found = Dataset.objects.filter(pk=dataset.pk).values_list("state", flat=True).first()
    dataset.state = found or state


def _set_state(dataset: Dataset, state: Dataset.State) -> None:
    # The row of a file that was fetched or deleted meanwhile is left alone.
    Dataset.objects.filter(pk=dataset.pk, modified_ns=dataset.modified_ns).exclude(
        state=Dataset.State.INVALIDATED
    ).exclude(state=state).update(state=state)
