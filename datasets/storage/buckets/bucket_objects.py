"""Objects below one prefix of a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

import obstore
import pyarrow as pa
from obstore import exceptions
from obstore.store import S3Store

from datasets.errors import FileCorrupt, FileMissing, ObjectChanged, StoreFailed
from datasets.storage.bucket_address import BucketAddress
from datasets.storage.buckets.bucket_client import bucket_failures, client_of

# A larger object is no file of ours: a million bars take 48 MB before they are compressed.
MAX_BYTES = 256 * 2**20
# The largest page that S3 sends of a list.
_PAGE = 1000

Content = bytes | memoryview | pa.Buffer


class ObjectStatus(NamedTuple):
    """One version of an object.

    `version` is the ETag, an opaque text: two contents of one object never have the same.
    """

    version: str
    n_bytes: int


class ListedObject(NamedTuple):
    """An object in a list: its name below the prefix, its version, and when it was written (whole seconds)."""

    name: str
    version: str
    n_bytes: int
    modified_at: datetime


class StoredObject(NamedTuple):
    """Content of an object, and its version."""

    content: pa.Buffer
    version: str


class Conditions(NamedTuple):
    """The conditional writes that a server honours; a probe at the first such write finds them."""

    creates: bool
    replaces: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """The objects below one prefix of a bucket.

    An object of this class holds an address and nothing else, so it can be pickled and sent to
    another process. The first call makes the process' client, from the variables `AWS_…`.

    Every method is one request or one for each page, ends within about 10 s, and raises

    * `FileMissing`: there is no such object;
    * `StoreUnavailable` (retryable): the server does not answer, answers 5xx or has no such bucket;
    * `StoreFailed`: the server refuses the credentials or the request.

    A write is atomic: a reader gets the old object or the new one. A write that raised
    `StoreUnavailable` may have reached the server all the same.
    """

    address: BucketAddress

    def below(self, folder: str) -> Bucket:
        """Return the objects below a folder of this prefix, such as `datasets`."""
        prefix = f"{self.address.prefix}/{folder}".strip("/")
        return Bucket(BucketAddress(self.address.bucket, prefix))

    def status(self, name: str) -> ObjectStatus:
        """Return version and size of an object, without its content."""
        with bucket_failures(name):
            found = obstore.head(self._client, self._path(name))
        return ObjectStatus(_version_of(found["e_tag"]), found["size"])

    def exists(self, name: str) -> bool:
        """Return whether there is such an object."""
        try:
            self.status(name)
        except FileMissing:
            return False
        return True

    def get(self, name: str, *, max_bytes: int = MAX_BYTES) -> StoredObject:
        """Return content and version of an object. Raises `FileCorrupt` for one larger than `max_bytes`."""
        found = self._get(name, "", max_bytes)
        assert found is not None
        return found

    def get_if_changed(
        self, name: str, version: str, *, max_bytes: int = MAX_BYTES
    ) -> StoredObject | None:
        """Return content and version of an object; None if it still has this version. Errors as for `get`."""
        return self._get(name, version, max_bytes)

    def _get(self, name: str, version: str, max_bytes: int) -> StoredObject | None:
        options: obstore.GetOptions = {"if_none_match": version} if version else {}
        with bucket_failures(name):
            try:
                found = obstore.get(self._client, self._path(name), options=options)
            except exceptions.NotModifiedError:
                return None
            n_bytes = found.meta["size"]
            if n_bytes > max_bytes:
                raise FileCorrupt(
                    f"{name} has {n_bytes:,} bytes, more than the {max_bytes:,} that are read."
                )
            content = pa.py_buffer(found.bytes())
        return StoredObject(content, _version_of(found.meta["e_tag"]))

    def put(self, name: str, content: Content) -> str:
        """Write an object, in place of the one that may be there; return the new version."""
        return self._put(name, content, "overwrite")

    def put_new(self, name: str, content: Content) -> str:
        """Write an object that is not there yet; return its version.

        Raises `ObjectChanged` if there is one with other content. A server that does not honour
        this condition (see `conditions`) replaces the object, so another fence must come first.
        """
        return self._put_if(name, content, "create" if self.conditions.creates else "overwrite")

    def replace(self, name: str, content: Content, version: str) -> str:
        """Write an object in place of this version of it; return the new version.

        Raises `ObjectChanged` if the object has another version, or is gone. Servers without this
        condition: as for `put_new`.
        """
        return self._put_if(
            name, content, {"e_tag": version} if self.conditions.replaces else "overwrite"
        )

    def _put_if(self, name: str, content: Content, mode: obstore.PutMode) -> str:
        try:
            return self._put(name, content, mode)
        except ObjectChanged:
            # The first attempt may have been carried out although its reply got lost: the client's
            # second attempt then meets our own object.
            with suppress(FileMissing):
                found = self.get(name)
                if found.content.equals(pa.py_buffer(content)):
                    return found.version
            raise

    def _put(self, name: str, content: Content, mode: obstore.PutMode) -> str:
        with bucket_failures(name):
            # In one request: an upload in parts is not atomic on every server, and leaves parts behind.
            written = obstore.put(
                self._client,
                self._path(name),
                memoryview(content).cast("B"),
                mode=mode,
                use_multipart=False,
            )
        return written["e_tag"] or self.status(name).version

    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is no error."""
        with bucket_failures(name):
            obstore.delete(self._client, self._path(name))

    def copy(self, name: str, target: str) -> None:
        """Copy an object within the server, in place of the target that may be there."""
        with bucket_failures(name):
            obstore.copy(self._client, self._path(name), self._path(target))

    def list(self, folder: str = "", *, after: str = "") -> Iterator[ListedObject]:
        """Yield the objects below a folder of this prefix, sorted by name; one request for 1,000 objects.

        With `after` only those whose name in the folder comes after this text.
        """
        prefix = self._path(folder) if folder else self.address.prefix
        n_cut = len(self.address.prefix) + 1 if self.address.prefix else 0
        offset = f"{prefix}/{after}".strip("/") if after else None
        with bucket_failures(f"the list of {folder or self.address}"):
            for page in obstore.list(self._client, prefix or None, offset=offset, chunk_size=_PAGE):
                for found in page:
                    yield ListedObject(
                        found["path"][n_cut:],
                        _version_of(found["e_tag"]),
                        found["size"],
                        found["last_modified"],
                    )

    @property
    def conditions(self) -> Conditions:
        """The conditional writes that the server honours, tried once in each process with an object of our own."""
        if self.address.bucket not in _conditions:
            _conditions[self.address.bucket] = self._probe()
        return _conditions[self.address.bucket]

    def _probe(self) -> Conditions:
        name = f".probe-{uuid4().hex}"
        first = self._put(name, b"1", "overwrite")
        try:
            creates = not self._is_written(name, b"2", "create")
            stale: obstore.PutMode = {"e_tag": first}
            replaces = self._is_written(name, b"3", stale)
            replaces = replaces and not self._is_written(name, b"4", stale)
        finally:
            self.delete(name)
        return Conditions(creates, replaces)

    def _is_written(self, name: str, content: bytes, mode: obstore.PutMode) -> bool:
        try:
            # Not `_put`: where a reply gets lost, the client's second attempt meets our own object.
            self._put_if(name, content, mode)
        except (ObjectChanged, StoreFailed):
            # A server without such conditions can also refuse the request.
            return False
        return True

    @property
    def _client(self) -> S3Store:
        return client_of(self.address.bucket)

    def _path(self, name: str) -> str:
        return f"{self.address.prefix}/{name}" if self.address.prefix else name


# The conditions of each bucket; the server is the same for all its prefixes.
_conditions: dict[str, Conditions] = {}


def _version_of(e_tag: str | None) -> str:
    if not e_tag:
        raise StoreFailed(
            "The S3 server sends no ETag, so the versions of objects cannot be told apart. "
            "Use another server for OUTPUTS_URL."
        )
    return e_tag
