"""Origins of bars: the dataset's file, the archive of its series, or a lock file's bars; in a folder or of a service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets.bars import DatasetKey
from datasets.calendars.last_bars import iso_to_ms
from datasets.errors import DatasetNotFound, FileCorrupt, InvalidRequest, LockMismatch
from datasets.research import lock_files
from datasets.research.archives.archive_reader import read_archived
from datasets.research.archives.archive_sources import Archive, FolderArchive
from datasets.research.archives.locked_bars import rebuilt
from datasets.research.arguments import Origin, Part, check_one_place
from datasets.research.folders import Place, find_place
from datasets.research.lock_files import Lock
from datasets.research.reader import Bars, find_dataset, open_dataset, read_part, with_facts
from datasets.research.service import Service, local_address
from datasets.research.service.service_archive import ServiceArchive
from datasets.storage.archives.archive_files import to_ms


def read_bars(
    key: DatasetKey,
    part: Part,
    origin: Origin,
    lock: str | Path | None = None,
    as_of_ms: int | None = None,
) -> tuple[Bars, str]:
    """Read a part of the bars that answer for the key, and note them for a lock file.

    Returns the bars, and the path of their origin: a file below `datasets/`, or the series'
    folder below `archive/`. Errors as for `load`.
    """
    if lock is not None:
        bars, path = read_locked(lock_files.read_lock(lock), key, part, origin)
    elif as_of_ms is not None:
        with opened_archive(key, origin) as archive:
            bars, path = read_archived(archive, _numbered(part, key), as_of_ms), archive.path
    else:
        bars, path = _read_dataset(key, part, origin)
    if bars.facts["n_rows"]:
        lock_files.note(bars.facts)
    return bars, path


def _read_dataset(key: DatasetKey, part: Part, origin: Origin) -> tuple[Bars, str]:
    """Read a part of the dataset that answers; of the archive where it has bars that no dataset has."""
    try:
        place, (chosen,) = prepare([key], origin)
        # A service has chosen already: the key is that of the file that was copied.
        found = find_dataset(place, key) if origin.url is None else open_dataset(place, chosen)
    except (DatasetNotFound, InvalidRequest) as error:
        # A service refuses to fetch more bars than TradingView gives.
        if isinstance(error, InvalidRequest) and list(error.errors) != ["n_bars"]:
            raise
        return _read_instead(key, part, origin, error)
    with found as opened:
        held_from_ms = iso_to_ms(opened.facts["first_time"])
        if not part.n_bars and part.start_ms is not None and part.start_ms < held_from_ms:
            with opened_archive(key, origin) as archive:
                first = archive.extent().first_time
                if first is not None and to_ms(first) < held_from_ms:
                    return read_archived(archive, part), archive.path
        return read_part(opened, part), f"{place.source}/{opened.name}"


def _read_instead(
    key: DatasetKey, part: Part, origin: Origin, error: DatasetNotFound | InvalidRequest
) -> tuple[Bars, str]:
    """Read the archive in place of a dataset that does not exist, where it has the number of bars.

    Raises `error` where there is no archive, and else `DatasetNotFound` with what the archive has.
    """
    if not key.n_bars:
        raise error
    with opened_archive(key, origin) as archive:
        extent = archive.extent()
        if extent.n_rows >= key.n_bars:
            return read_archived(archive, _numbered(part, key)), archive.path
    if extent.first_time is None:
        raise error
    raise DatasetNotFound(
        f"The archive of {key.full_symbol} {key.timeframe.label} has {extent.n_rows} bars, from "
        f"{extent.first_time.isoformat()}, and not {key.n_bars}. Ask for at most that many, or for a range by start= "
        f"and end=. {error}"
    ) from error


def _numbered(part: Part, key: DatasetKey) -> Part:
    """Return the part as one of the newest bars where the key has their number."""
    return part if part.n_bars or not key.n_bars else replace(part, n_bars=key.n_bars)


def read_locked(lock: Lock, key: DatasetKey, part: Part, origin: Origin) -> tuple[Bars, str]:
    """Read a part of the bars that a lock file names for the key.

    The dataset's own file answers while it has the locked bars, else the archive brings them
    back. Raises `LockMismatch` where neither can, and names the difference.
    """
    return read_pinned(lock, lock.pin(key), part, origin)


def read_pinned(lock: Lock, key: DatasetKey, part: Part, origin: Origin) -> tuple[Bars, str]:
    """Read a part of the bars of a key in the lock file; otherwise as `read_locked`."""
    try:
        place, (key,) = prepare([key], origin, is_exact=True)
        with open_dataset(place, key) as opened:
            locked = with_facts(opened, lock.locked_facts(opened.facts))
            return read_part(locked, part), f"{place.source}/{opened.name}"
    except (DatasetNotFound, FileCorrupt, LockMismatch) as error:
        return read_rebuilt(lock, key, part, origin, error)


def read_rebuilt(
    lock: Lock, key: DatasetKey, part: Part, origin: Origin, error: Exception
) -> tuple[Bars, str]:
    """Read the locked bars of a dataset from the archive.

    `error` says why the dataset's file does not give them. It is raised where there is no archive.
    """
    with opened_archive(key, origin) as archive:
        if not archive.extent().n_rows:
            raise error
        return rebuilt(archive, lock, key, part, str(error)), archive.path


@contextmanager
def opened_archive(key: DatasetKey, origin: Origin) -> Iterator[Archive]:
    """Yield the archive of the key's series, which need not exist: that of the service, or in the folder."""
    check_one_place(origin.folder, origin.url)
    if origin.url is None:
        yield FolderArchive(find_place(origin.folder, key.source), key)
        return
    with Service(origin.url, origin.token) as service:
        yield ServiceArchive(service, key)


def prepare(
    keys: Sequence[DatasetKey], origin: Origin, *, is_exact: bool = False
) -> tuple[Place, list[DatasetKey]]:
    """Return the place and the keys of the files to read, after the needed fetches and copies.

    With `is_exact` only the keys' own datasets count, not larger ones of the same series.
    Raises the error of a fetch that failed, `ServiceFailed` or `DatasetNotFound`.
    """
    check_one_place(origin.folder, origin.url)
    if origin.url is None and origin.fetch == "never":
        place = find_place(origin.folder, origin.source)
        place.bring(keys)
        return place, list(keys)
    url = local_address() if origin.url is None else origin.url
    with Service(url, origin.token) as service:
        if origin.url is not None:
            return service.mirror(keys, fetch=origin.fetch, is_exact=is_exact)
        known: dict[DatasetKey, dict[str, Any]] = {}
        for key in keys:
            # A missing or a broken file is fetched.
            with suppress(DatasetNotFound, FileCorrupt):
                place = find_place(origin.folder, origin.source)
                place.bring([key])
                with find_dataset(place, key) as opened:
                    known[key] = opened.facts
        is_fresh = bool(service.fetch(keys, known, fetch=origin.fetch))
    place = find_place(origin.folder, origin.source)
    place.bring(keys, is_fresh=is_fresh)
    return place, list(keys)
