"""Keep the catalog true to the files: read, verify, adopt, rebuild, prune.

The files know best: each says everything of itself, and the rows follow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from django.db import DatabaseError, transaction

from datasets import fetching
from datasets.errors import FileCorrupt, FileMissing, StoreError
from datasets.models import Dataset
from datasets.store import StoredFile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What looking at one file found: `ok`, `adopted`, `missing` or `corrupt`, and a sentence."""

    path: str
    outcome: str
    detail: str = ""


def read(dataset: Dataset) -> pa.Table:
    """Return the dataset's bars, checked against the hash that was written with them.

    When the file cannot give them, its row says so before `StoreError` is raised, and what
    is no dataset is moved out of the way. When the file is a whole one but not the one
    recorded, the row is put right: a worker was killed between writing the two, or
    somebody put another file there.
    """
    store = fetching.get_store()
    try:
        table, stored = store.read(dataset.path)
    except StoreError as error:
        _set_unreadable(dataset, error)
        raise
    if not _is_recorded(dataset, stored):
        _put_right(dataset, stored)
    return table


def path_to_read(dataset: Dataset) -> Path:
    """Return where the dataset's file is, once it has been found to be whole; errors as for `read`."""
    read(dataset)
    return fetching.get_store().folder / dataset.path


def verify(dataset: Dataset) -> Finding:
    """Read the dataset's file to its end and say what was found; put its row right."""
    before = dataset.content_hash
    try:
        read(dataset)
    except StoreError as error:
        return Finding(
            dataset.path, "missing" if isinstance(error, FileMissing) else "corrupt", str(error)
        )
    if dataset.content_hash != before:
        return Finding(dataset.path, "adopted", "The file held other bars than the catalog said.")
    return Finding(dataset.path, "ok")


def adopt_files() -> Iterator[Finding]:
    """Make a row for every whole file that has none, and put every other row right.

    With an empty catalog this is the rebuilding of it after a lost database.
    """
    store = fetching.get_store()
    for path in store.all_paths():
        row = Dataset.objects.filter(path=path).first()
        try:
            stored = store.read(path)[1]
        except StoreError as error:
            if row is not None:
                _set_unreadable(row, error)
            elif isinstance(error, FileCorrupt):
                store.quarantine(path)
            yield Finding(path, "corrupt", str(error))
            continue
        if row is not None and _is_recorded(row, stored):
            yield Finding(path, "ok")
            continue
        fetching.record(stored)
        yield Finding(path, "adopted")


def find_missing() -> Iterator[Finding]:
    """Mark every ready row whose file is not there."""
    store = fetching.get_store()
    for dataset in Dataset.objects.filter(state=Dataset.State.READY).iterator():
        try:
            store.version(dataset.path)
        except FileMissing as error:
            _set_unreadable(dataset, error)
            yield Finding(dataset.path, "missing", str(error))


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
        The longest unused ones, until the others take at most so many bytes.
    """
    free = Dataset.objects.filter(is_pinned=False)
    chosen: dict[int, Dataset] = {}

    def choose(datasets: Iterable[Dataset]) -> None:
        chosen.update({dataset.pk: dataset for dataset in datasets})

    if fetched_before is not None:
        choose(free.filter(fetched_at__lt=fetched_before))
    if unused_since is not None:
        choose(
            dataset
            for dataset in free.filter(fetched_at__lt=unused_since)
            if _last_used(dataset) < unused_since
        )
    if keep_newest is not None:
        newest = Dataset.objects.order_by("-fetched_at", "-pk").values_list("pk", flat=True)[
            :keep_newest
        ]
        choose(free.exclude(pk__in=list(newest)))
    if total_bytes is not None:
        choose(_over_budget(total_bytes))
    return sorted(chosen.values(), key=lambda dataset: dataset.fetched_at)


def remove(dataset: Dataset) -> bool:
    """Delete the dataset's file, then its row; return False for one pinned or fetched since."""
    # Choosing among many takes a while, in which somebody may come to want one of them.
    with transaction.atomic():
        unchanged = Dataset.objects.select_for_update().filter(
            pk=dataset.pk, is_pinned=False, fetched_at=dataset.fetched_at
        )
        row = unchanged.first()
        if row is None:
            return False
        # A worker may have put a new file there that it has not recorded yet.
        if not fetching.get_store().delete(row.path, fetched_at=row.fetched_at):
            return False
        row.delete()
    return True


def _over_budget(total_bytes: int) -> Iterator[Dataset]:
    everything = sorted(Dataset.objects.all(), key=_last_used)
    excess = sum(dataset.bytes for dataset in everything) - total_bytes
    for dataset in everything:
        if excess <= 0:
            return
        if not dataset.is_pinned:
            excess -= dataset.bytes
            yield dataset


def _last_used(dataset: Dataset) -> datetime:
    return max(dataset.fetched_at, dataset.last_served_at or dataset.fetched_at)


def _put_right(dataset: Dataset, stored: StoredFile) -> None:
    try:
        fetching.record(stored)
        dataset.refresh_from_db()
    except DatabaseError as error:
        # The disk is full or the database is busy: the bars are served all the same, with
        # what the file says of itself, and the next reader tries again.
        logger.warning("dataset %s: the row could not be put right: %s", dataset.pk, error)
        for name, value in fetching.row_values(stored).items():
            setattr(dataset, name, value)


def _is_recorded(dataset: Dataset, stored: StoredFile) -> bool:
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
        kept = fetching.get_store().quarantine(dataset.path)
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
    ).update(state=state)
