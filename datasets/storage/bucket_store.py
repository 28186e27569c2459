"""Store of datasets in a bucket: the same names as in a folder, one PUT for each file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath, PurePosixPath

import pyarrow as pa

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FileCorrupt, FileMissing, StoreUnavailable
from datasets.storage.atomic_write import store_failures
from datasets.storage.buckets import (
    Bucket,
    BucketAddress,
    LocalCopies,
    ObjectStatus,
    StoredObject,
    VersionChecks,
)
from datasets.storage.dataset_file import PreparedFile, StoredFile, facts_of, read_bars
from datasets.storage.memory_map import map_file
from datasets.storage.metadata import METADATA_KEY, FileFacts, describe, to_document
from datasets.storage.parquet_file import parse_parquet, write_parquet
from datasets.storage.paths import SUFFIX, relative_path, superseded_mark
from datasets.storage.presence import MARKER, MARKER_TEXT
from datasets.storage.removals import QUARANTINE, REJECTED, REMOVED, aside_path
from datasets.storage.store import Store


class BucketStore(Store):
    """The datasets below one prefix of a bucket.

    The rows of the catalog are the locks: a process that replaces, moves or deletes a file holds
    the lock of its row in PostgreSQL. The conditions of the S3 server are a second fence.

    Parameters
    ----------
    address
        The place of the outputs; the datasets are below `datasets/` in it.
    copies
        The local copies of this machine.
    check_s
        Seconds for which a version that was seen is trusted; the setting `STORE_CHECK_S`.
    """

    def __init__(self, address: BucketAddress, copies: LocalCopies, check_s: float) -> None:
        self.outputs = Bucket(address)
        self.bucket = self.outputs.below("datasets")
        self._copies = copies
        self._checks = VersionChecks(self.bucket, check_s)

    @contextmanager
    def prepared(self, key: DatasetKey, fetched: FetchedBars) -> Iterator[PreparedFile]:
        # Encoded here; `put_in_place` is one PUT, in place of the version that is there now.
        path, facts = relative_path(key), describe(key, fetched)
        table = fetched.table.replace_schema_metadata({METADATA_KEY: to_document(facts)})
        sink = pa.BufferOutputStream()
        write_parquet(table, sink)
        if not self._is_marked(key.source):
            self.accept(key.source)
        try:
            replaced = self._checks.fresh(path).version
        except FileMissing:
            replaced = ""
        yield _PreparedObject(self, path, facts, sink.getvalue(), replaced)

    def put(self, path: str, content: pa.Buffer, replaced: str) -> str:
        """Write an object in place of the version `replaced`, or a new one; return its version."""
        if replaced:
            version = self.bucket.replace(path, content, replaced)
        else:
            version = self.bucket.put_new(path, content)
        self._copies.keep(self.bucket, path, StoredObject(content, version))
        self._checks.remember(path, ObjectStatus(version, content.size))
        return version

    def read(self, path: str, *, recorded: str = "") -> tuple[pa.Table, StoredFile]:
        seen = self._status(path, recorded)
        while True:
            try:
                stored = self._copies.read(self.bucket, path, seen.version)
            except FileMissing:
                self._checks.forget(path)
                raise self._absent(path) from None
            try:
                with parse_parquet(stored.content, path) as file:
                    table, facts = read_bars(file, path)
            except FileCorrupt:
                # An object that was replaced during the read is read again.
                seen = self._status(path)
                if seen.version == stored.version:
                    raise
                continue
            self._checks.remember(path, ObjectStatus(stored.version, stored.content.size))
            return table, StoredFile(facts, stored.content.size, stored.version)

    def version(self, path: str) -> str:
        return self._status(path).version

    def is_current(self, path: str, version: str) -> bool:
        return self._status(path, version).version == version

    def _status(self, path: str, recorded: str = "") -> ObjectStatus:
        try:
            if not recorded:
                return self._checks.fresh(path)
            if self._checks.has(path, recorded) or self._copies.has(self.bucket, path, recorded):
                return self._checks.status(path, recorded)
            # The first use on this machine: one request brings the version, and the content that is read next.
            stored = self._copies.fetch(self.bucket, path)
        except FileMissing:
            raise self._absent(path) from None
        status = ObjectStatus(stored.version, stored.content.size)
        self._checks.remember(path, status)
        return status

    def lookup(self) -> Callable[[str], str]:
        versions = {found.name: found.version for found in self.bucket.list()}

        def version(path: str) -> str:
            if path not in versions:
                raise self._absent(path)
            return versions[path]

        return version

    def local_path(self, path: str, version: str) -> Path:
        with store_failures(Path(path)):
            return self._copies.path(self.bucket, path, version)

    def all_paths(self) -> Iterator[str]:
        for found in self.bucket.list():
            if found.name.endswith(SUFFIX) and found.name.count("/") == 1:
                yield found.name

    def delete(self, path: str, *, fetched_at: datetime, aside: str = "") -> bool:
        source = path.partition("/")[0]
        if not self.is_present(source):
            raise self.unavailable(source)
        with suppress(FileMissing):
            stored = self.bucket.get(path)
            with suppress(FileCorrupt), parse_parquet(stored.content, path) as opened:
                if facts_of(opened, path).fetched_at != fetched_at:
                    return False
            if aside:
                self._move_aside(path, aside)
            else:
                self.bucket.delete(path)
        self._checks.forget(path)
        return True

    def _move_aside(self, path: str, name: str) -> PurePosixPath:
        # Two steps: a process that dies between them leaves the object in both places.
        target = aside_path(path, name)
        self.outputs.copy(f"datasets/{path}", target.as_posix())
        self.bucket.delete(path)
        self._checks.forget(path)
        return target

    def mark_superseded(self, path: str) -> None:
        document = {"name": PurePosixPath(path).name, "version": self.version(path)}
        mark = PurePosixPath(path).with_name(superseded_mark(document["name"]))
        self.bucket.put(mark.as_posix(), json.dumps(document).encode())

    def quarantine(self, path: str) -> PurePath | None:
        try:
            stored = self.bucket.get(path)
            with parse_parquet(stored.content, path) as file:
                read_bars(file, path)
        except FileMissing:
            return None
        except FileCorrupt:
            return self._move_aside(path, QUARANTINE)
        return None

    def remove_strays(self) -> int:
        # A PUT leaves nothing behind.
        return 0

    def free_bytes(self) -> None:
        return None

    def keep_reply(self, name: str, reply: bytes) -> None:
        self.outputs.put(f"{REJECTED}/{name}.txt", reply)

    def read_beside(self, name: str) -> pa.BufferReader:
        version = self.outputs.status(name).version
        return pa.BufferReader(self._copies.read(self.outputs, name, version).content)

    def put_beside(self, name: str, temporary: Path) -> None:
        self.outputs.put(name, map_file(temporary)[1].read_buffer())

    def purge_removed(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        n_files = n_bytes = 0
        for folder in REMOVED:
            for found in list(self.outputs.list(folder)):
                # The copy was written when the object was moved aside.
                if found.modified_at >= before:
                    continue
                if not dry_run:
                    self.outputs.delete(found.name)
                n_files, n_bytes = n_files + 1, n_bytes + found.n_bytes
        return n_files, n_bytes

    def is_present(self, source: str) -> bool:
        return self._is_marked(source) or any(
            found.name.endswith(SUFFIX) for found in self.bucket.list(source)
        )

    def _is_marked(self, source: str) -> bool:
        try:
            self._checks.status(f"{source}/{MARKER}")
        except FileMissing:
            return False
        return True

    def accept(self, source: str) -> None:
        self.bucket.put(f"{source}/{MARKER}", MARKER_TEXT.encode())

    def unavailable(self, source: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"There is nothing below {self.bucket.address}/{source}, but the catalog has datasets in it: OUTPUTS_URL may "
            "name another place. No dataset was marked as missing. Correct OUTPUTS_URL and try again. If the objects were "
            "deleted on purpose, run `manage.py datasets rebuild --accept-empty`."
        )


@dataclass(frozen=True, slots=True)
class _PreparedObject:
    """A dataset's new object, encoded in memory."""

    store: BucketStore
    path: str
    facts: FileFacts
    content: pa.Buffer
    replaced: str

    def put_in_place(self) -> StoredFile:
        version = self.store.put(self.path, self.content, self.replaced)
        return StoredFile(self.facts, self.content.size, version)
