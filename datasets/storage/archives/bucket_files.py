"""Files of a series' archive in a bucket: one conditional PUT of `series.json` decides.

Docs: `docs/decisions/0019-archive-on-a-bucket.md`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from datasets.errors import FileMissing, StoreFailed, StoreUnavailable
from datasets.lru_cache import LruCache
from datasets.storage.archives.archive_files import facts_in
from datasets.storage.archives.archive_paths import GENERATIONS, STAGED
from datasets.storage.archives.series_document import DOCUMENT_NAME, SeriesDocument
from datasets.storage.buckets import (
    Bucket,
    ListedObject,
    LocalCopies,
    ObjectStatus,
    StoredObject,
    VersionChecks,
)
from datasets.storage.parquet_file import parse_parquet
from datasets.storage.paths import SUFFIX
from datasets.storage.presence import MARKER, MARKER_TEXT

# Holds the lock of a series, by its name, for a block. The block's value raises `StoreUnavailable`
# once the lock is lost, as after a pause of the process.
SeriesLock = Callable[[str], AbstractContextManager[Callable[[], None]]]

# A request of a killed writer can still be on its way when the next writer looks, so a file that no
# document names stays for this time. No request lives so long, and clocks differ by less.
_ABANDONED_AFTER = timedelta(hours=1)


@contextmanager
def read_only(name: str) -> Iterator[Callable[[], None]]:
    """Refuse the lock of a series: for programs that only read."""
    raise StoreFailed(f"The archive {name} in the bucket is written by the service only.")
    yield


@dataclass(frozen=True, slots=True)
class ArchiveObjects:
    """The objects below `archive/` of a bucket, and what one process remembers of them."""

    bucket: Bucket
    copies: LocalCopies
    checks: VersionChecks
    lock: SeriesLock = read_only
    documents: LruCache[str, StoredObject] = field(default_factory=lambda: LruCache(4096))


@dataclass(slots=True)
class _Write:
    """What the holder of a series' lock has found and written."""

    check_lock: Callable[[], None]
    # By name below the series' folder.
    listed: dict[str, ListedObject]
    # By the hash of the content.
    staged: dict[str, pa.Buffer] = field(default_factory=dict)
    version: str = ""
    document: bytes = b""

    def under(self, folder: str) -> list[ListedObject]:
        return [each for name, each in self.listed.items() if name.startswith(f"{folder}/")]

    def has_written(self, name: str, version: str, n_bytes: int) -> None:
        self.listed[name] = ListedObject(name, version, n_bytes, datetime.now(UTC))


class BucketFiles:
    """The files of one series below `folder` in a bucket; the methods are those of `SeriesFiles`."""

    def __init__(self, objects: ArchiveObjects, folder: str) -> None:
        self._objects = objects
        self._folder = folder
        self._write: _Write | None = None

    def earlier(self, generation: int) -> BucketFiles:
        """Return the files of an earlier generation."""
        return BucketFiles(self._objects, f"{self._folder}/{GENERATIONS}/{generation}")

    def read_document(self) -> bytes | None:
        """Return the text of `series.json`, by one request; None where nothing was archived.

        While the bucket is away, readers get the text that this process read last; a writer gets
        `StoreUnavailable`.
        """
        path, documents = self._path(DOCUMENT_NAME), self._objects.documents
        kept = documents.find(path)
        try:
            if kept is None:
                kept = self._objects.bucket.get(path)
            else:
                kept = self._objects.bucket.get_if_changed(path, kept.version) or kept
        except FileMissing:
            documents.remove(path)
            return None
        except StoreUnavailable:
            if kept is None or self._write is not None:
                raise
        documents.keep(path, kept)
        if self._write is not None:
            self._write.version = kept.version
        return kept.content.to_pybytes()

    @contextmanager
    def opened(self, name: str, content_hash: str) -> Iterator[pq.ParquetFile]:
        """Open a parquet file from its local copy."""
        path = self._path(name)
        for is_last in (False, True):
            with parse_parquet(
                self._content(path, content_hash), name, are_pages_checked=True
            ) as file:
                if is_last or facts_in(file, name).get("content_hash") == content_hash:
                    yield file
                    return
            # Another process has written this name since its version was checked.
            self._objects.checks.forget(path)

    def content(self, name: str) -> pa.Buffer:
        """Return the bytes of a file, from its local copy where its version is the present one."""
        path = self._path(name)
        status = self._objects.checks.fresh(path)
        return self._objects.copies.read(self._objects.bucket, path, status.version).content

    def _content(self, path: str, content_hash: str) -> pa.Buffer:
        if self._write is not None and content_hash in self._write.staged:
            return self._write.staged[content_hash]
        status = self._objects.checks.status(path)
        return self._objects.copies.read(self._objects.bucket, path, status.version).content

    # --- one write, by the holder of the lock ---------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the series in the database, and list its objects."""
        marker = f"{PurePosixPath(self._folder).parent}/{MARKER}"
        with self._objects.lock(self._folder) as check_lock:
            try:
                self._objects.checks.status(marker)
            except FileMissing:
                self._objects.bucket.put(marker, MARKER_TEXT.encode())
            self._write = _Write(check_lock, self._listed())
            try:
                yield
            finally:
                self._write = None

    def stage(self, content_hash: str, write: Callable[[BinaryIO], int]) -> int:
        """Put a new file under its hash into `_next/`; return its size in bytes."""
        sink = io.BytesIO()
        size = write(sink)
        content = pa.py_buffer(sink.getvalue())
        name = f"{STAGED}/{content_hash}{SUFFIX}"
        self._held.check_lock()
        version = self._objects.bucket.put(self._path(name), content)
        self._held.staged[content_hash] = content
        self._held.has_written(name, version, size)
        return size

    def keep_generation(self, generation: int, names: Sequence[str]) -> None:
        """Put these files and `series.json` into `_generations/{generation}/` too."""
        for name in (*names, DOCUMENT_NAME):
            kept = f"{GENERATIONS}/{generation}/{name}"
            content = self._objects.bucket.get(self._path(name)).content
            version = self._objects.bucket.put_new(self._path(kept), content)
            self._held.has_written(kept, version, content.size)

    def prepare(self, document: bytes) -> None:
        """Keep the new `series.json` in memory; all other files are in the bucket already."""
        self._held.document = document

    def commit(self) -> None:
        """Replace `series.json` by one PUT, in place of the version that the holder of the lock has read."""
        write, path, bucket = self._held, self._path(DOCUMENT_NAME), self._objects.bucket
        write.check_lock()
        if write.version:
            version = bucket.replace(path, write.document, write.version)
        else:
            version = bucket.put_new(path, write.document)
        self._objects.documents.keep(path, StoredObject(pa.py_buffer(write.document), version))

    def has_traces(self, document: SeriesDocument | None) -> bool:
        """Return whether `settle` would change an object."""
        listed = self._listed()
        unfinished = -1 if document is None else document.generation.number
        return any(
            _is_due(each, document) if each.name.startswith(f"{STAGED}/")
            # A generation that is still the present one is unfinished.
            else each.name.startswith(f"{GENERATIONS}/{unfinished}/")
            for each in listed.values()
        )  # fmt: skip

    def has_bars(self) -> bool:
        """Return whether there is any file of bars."""
        return any(_is_bars(name) for name in self._held.listed)

    def settle(self, document: SeriesDocument | None) -> None:
        """Put files that `series.json` names under their own names, and delete what is left of unfinished writes."""
        write = self._held
        for staged in write.under(STAGED):
            if not _is_due(staged, document):
                continue
            write.check_lock()
            content_hash = PurePosixPath(staged.name).stem
            if document is not None and content_hash in document.names_by_hash:
                self._give_own_name(staged.name, document.names_by_hash[content_hash], content_hash)
            self._delete(staged.name)
        if document is not None:
            self._clear_generations(document)

    def _give_own_name(self, staged: str, name: str, content_hash: str) -> None:
        """Put a staged file under its own name, in place of the version that was listed.

        A PUT and no copy within the server: only a PUT can be refused after a later one.
        """
        write, bucket, path = self._held, self._objects.bucket, self._path(name)
        content = write.staged.get(content_hash)
        if content is None:
            content = bucket.get(self._path(staged)).content
        present = write.listed.get(name)
        if present is None:
            version = bucket.put_new(path, content)
        else:
            version = bucket.replace(path, content, present.version)
        write.has_written(name, version, content.size)
        self._objects.copies.keep(bucket, path, StoredObject(content, version))
        self._objects.checks.remember(path, ObjectStatus(version, content.size))

    def _clear_generations(self, document: SeriesDocument) -> None:
        """Delete the files of the generation before from the folder, and unfinished generations."""
        write, number = self._held, document.generation.number
        for kept in write.under(GENERATIONS):
            generation = PurePosixPath(kept.name).parts[1]
            if generation.isdigit() and int(generation) >= number:
                self._delete(kept.name)
        named = {entry.name for entry in document.files}
        for name in [each for each in write.listed if _is_bars(each) and each not in named]:
            # Only a file that is kept with its generation: another one was placed there by hand.
            if f"{GENERATIONS}/{number - 1}/{name}" in write.listed:
                self._delete(name)

    def _delete(self, name: str) -> None:
        self._objects.bucket.delete(self._path(name))
        self._objects.checks.forget(self._path(name))
        del self._held.listed[name]

    @property
    def _held(self) -> _Write:
        assert self._write is not None
        return self._write

    def _listed(self) -> dict[str, ListedObject]:
        cut = len(self._folder) + 1
        found = (
            each._replace(name=each.name[cut:]) for each in self._objects.bucket.list(self._folder)
        )
        return {each.name: each for each in found}

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


def _is_bars(name: str) -> bool:
    return "/" not in name and name.endswith(SUFFIX)


def _is_due(staged: ListedObject, document: SeriesDocument | None) -> bool:
    """Return whether a file in `_next/` is to get its own name, or is abandoned."""
    names = {} if document is None else document.names_by_hash
    is_old = datetime.now(UTC) - staged.modified_at > _ABANDONED_AFTER
    return is_old or PurePosixPath(staged.name).stem in names
