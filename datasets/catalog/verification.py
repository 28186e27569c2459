"""Reading of a dataset's file, checked against the hash that was written with the bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from datasets.catalog.outputs import get_store
from datasets.catalog.reconciliation import Recorded, is_recorded, read_and_reconcile, state_after
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset
from datasets.storage import StoredFile
from datasets.storage.parallel_reads import read_each


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of checking one file, with a sentence about it.

    `outcome` is `ok`, `adopted` (the row was updated to describe the file), `missing`, `corrupt`,
    `gone` (the dataset was invalidated or deleted meanwhile) or `unread` (the machine could not
    read the file this time).
    """

    path: str
    outcome: str
    detail: str = ""


def read(dataset: Dataset) -> pa.Table:
    """Return the dataset's bars, checked against the hash in the file's metadata.

    If the file is whole but is not the recorded one, the row is updated to describe the file:
    a worker was killed before it recorded the file, or somebody replaced the file by hand.

    Returns
    -------
    pyarrow.Table
        The columns of `BAR_SCHEMA`: `time` is the bar's opening instant, UTC, rising.

    Raises
    ------
    StoreError
        The file is missing or corrupt. The row's state is set before, and a corrupt file is
        moved to quarantine.
    StoreFailed
        The machine could not read the file this time.
    StoreUnavailable
        The folder of the source is not there.
    """
    return read_and_reconcile(dataset)[0]


def path_to_read(dataset: Dataset) -> Path:
    """Return the absolute path of the dataset's file, or of its local copy, after checking it; errors as for `read`."""
    read(dataset)
    return get_store().local_path(dataset.path, dataset.version)


def verify(dataset: Dataset) -> Finding:
    """Read the dataset's file to its end, correct its row, and return the result."""
    before = dataset.content_hash
    try:
        _, recorded = read_and_reconcile(dataset)
    except StoreError as error:
        is_kept = Dataset.objects.filter(pk=dataset.pk).exclude(state=Dataset.State.INVALIDATED)
        if not is_kept.exists():
            return Finding(dataset.path, "gone", "It was invalidated or deleted.")
        return Finding(dataset.path, state_after(error).value, str(error))
    except StoreFailed as error:
        return Finding(dataset.path, "unread", str(error))
    if recorded is Recorded.ADOPTED and dataset.content_hash != before:
        return Finding(dataset.path, "adopted", "The file held other bars than the catalog said.")
    # Also "ok" when the dataset was fetched again after its row was loaded.
    return Finding(dataset.path, "ok")


def verify_each(datasets: Iterable[Dataset], n_workers: int = 1) -> Iterator[Finding]:
    """Verify many datasets, and yield the results in order.

    `n_workers` processes read the files; threads for a bucket.
    """
    for dataset, found in read_each(get_store(), datasets, lambda row: row.path, n_workers):
        is_right = isinstance(found, StoredFile) and is_recorded(dataset, found)
        # A file that is not right is rare: it is read again, and its row is corrected.
        yield Finding(dataset.path, "ok") if is_right else verify(dataset)
