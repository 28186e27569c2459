"""What can go wrong in a study, beside what `datasets/errors.py` names already."""

from __future__ import annotations

from datasets.errors import DatasetsError, NotFound, StoreError, StoreUnavailable


class DatasetNotFound(NotFound):
    """No file holds these bars; the message names close matches and the command that fetches."""


class FolderUnavailable(DatasetNotFound, StoreUnavailable):
    """There is no dataset at all: nothing was fetched yet, or the disk is not mounted."""

    code = StoreUnavailable.code
    retryable = True


class LockMismatch(StoreError):
    """A dataset is not the one that the lock file names; the message says what changed."""


class ServiceFailed(DatasetsError):
    """The service could not be asked, or its answer was no help."""
