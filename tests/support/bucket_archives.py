"""Archives in a bucket for tests: several hosts, a crash at any change of the bucket, and a writer that is killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import obstore

from datasets.storage.archives.archive_paths import GENERATIONS
from datasets.storage.archives.archive_queries import read_range, read_revisions
from datasets.storage.archives.bucket_archives import BucketArchives
from datasets.storage.archives.bucket_files import SeriesLock
from datasets.storage.buckets import Bucket, BucketAddress, LocalCopies
from tests.support.archives import Archive, Crash, Row, plain_bars, rows_of, scaled

# Every call of the client by which our code changes a bucket.
_CHANGES = ("put", "delete", "copy")


def file_lock(folder: Path) -> SeriesLock:
    """Return a lock of series by files in a folder; it ends with its process."""

    @contextmanager
    def locked(name: str) -> Iterator[Callable[[], None]]:
        with (folder / sha256(name.encode()).hexdigest()).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield lambda: None

    return locked


def bucket_archive(address: str, host: Path, locks: Path, **key: Any) -> Archive:
    """Return an archive in a bucket, as one host has it: `host` is the folder of its local copies."""
    host.mkdir(exist_ok=True)
    locks.mkdir(exist_ok=True)
    place = BucketArchives(
        BucketAddress.parse(address), LocalCopies(host / "objects", 2**28), 10.0, file_lock(locks)
    )
    return Archive(host, place=place, **key)


def objects_of(archive: Archive, address: str) -> list[str]:
    """Return the names of the objects of a series, below its folder."""
    bucket = Bucket(BucketAddress.parse(address)).below(f"archive/{archive.folder.path}")
    return sorted(each.name for each in bucket.list())


def kept_in_bucket(archive: Archive) -> set[Row]:
    """Return every row that is anywhere in the series: archive, revisions, earlier generations."""
    tables = [read_range(archive.folder).rows, read_revisions(archive.folder)]
    for generation in archive.document.generations[:-1]:
        tables.append(read_range(archive.folder.earlier(generation.number)).rows)
    return {row for table in tables for row in rows_of(table)}


def has_leftovers(archive: Archive, address: str) -> bool:
    """Return whether a file that the series' document names waits in `_next/`, or a generation is unfinished."""
    hashes = archive.document.names_by_hash
    unfinished = f"{GENERATIONS}/{archive.document.generation.number}/"
    names = objects_of(archive, address)
    return any(Path(name).stem in hashes or name.startswith(unfinished) for name in names)


@contextmanager
def crash_in_bucket(number: int) -> Iterator[None]:
    """Let the process die at its change of the bucket with this number; even ones happen first."""
    n_changes = 0

    def dying(name: str) -> Any:
        real = getattr(obstore, name)

        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal n_changes
            if n_changes > number:
                raise Crash
            n_changes += 1
            if n_changes > number:
                if number % 2 == 0:
                    real(*arguments, **options)
                raise Crash
            return real(*arguments, **options)

        return change

    with mock.patch.multiple(obstore, **{name: dying(name) for name in _CHANGES}):
        yield


def writer_process(
    address: str, host: Path, locks: Path, env: dict[str, str], merge: dict[str, Any]
) -> BaseProcess:
    """Start a process of its own that merges some hours; `merge` has the arguments of `_merge`."""
    context = get_context("forkserver")
    # The server of the forks has the modules, and has never used a bucket.
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_merge, args=(address, host, locks, env), kwargs=merge)
    process.start()
    return process


def _merge(
    address: str,
    host: Path,
    locks: Path,
    env: dict[str, str],
    *,
    first: int,
    n_hours: int,
    factor: float,
    after_h: float,
) -> None:
    os.environ.update(env)
    archive = bucket_archive(address, host, locks)
    window = scaled(plain_bars(range(first, first + n_hours)), factor)
    archive.merge(window, after=timedelta(hours=after_h))
