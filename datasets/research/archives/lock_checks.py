"""Check of a study's lock file: whether each of its datasets can still be loaded with the locked bars."""

from __future__ import annotations

from pathlib import Path

from datasets.bars import BAR_COLUMNS, DatasetKey
from datasets.errors import DatasetNotFound, DatasetsError, FileCorrupt, LockMismatch
from datasets.research.archives.bar_origins import prepare, read_rebuilt
from datasets.research.arguments import Origin, Part
from datasets.research.folders import require_place
from datasets.research.lock_files import Lock, name_of, read_lock
from datasets.research.reader import open_dataset, read_unverified, verify


def verify_lock(
    path: str | Path,
    *,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
) -> list[str]:
    """Compare all locked datasets with their files, bar by bar, and changed ones with their archives.

    Parameters
    ----------
    path
        A file of `write_lock`.
    folder, url, token
        Where the datasets are, as for `load`.

    Returns
    -------
    list[str]
        One sentence for each dataset whose locked bars neither its file nor its archive has. An
        empty list means that `load(…, lock=path)` gives every one of them.

    Raises
    ------
    FolderUnavailable
        A source's folder is away.
    InvalidRequest
        `path` is no lock file.
    ServiceFailed
        The service at `url` did not answer.
    """
    lock = read_lock(path)
    if url is None:
        for source in {key.source for key in lock.entries}:
            require_place(folder, source)
    sentences = []
    for key in lock.entries:
        origin = Origin(source=key.source, folder=folder, url=url, token=token, fetch="never")
        try:
            _verify(lock, key, origin)
        except (DatasetNotFound, FileCorrupt, LockMismatch) as error:
            sentences.append(str(error))
    return sentences


def _verify(lock: Lock, key: DatasetKey, origin: Origin) -> None:
    """Read the locked bars to their end; raise the error that says why they are not there."""
    problem: DatasetsError
    try:
        place, _ = prepare([key], origin, is_exact=True)
        with open_dataset(place, key) as opened:
            lock.locked_facts(opened.facts)
            verify(opened, read_unverified(opened, BAR_COLUMNS))
            return
    except DatasetNotFound:
        problem = DatasetNotFound(f"{name_of(lock.entries[key])} is not there.")
    except (FileCorrupt, LockMismatch) as error:
        problem = error
    read_rebuilt(lock, key, Part(), origin, problem)
