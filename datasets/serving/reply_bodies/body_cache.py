"""A rendered reply body, and the LRU cache of bodies in memory."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace

import orjson

from datasets.lru_cache import LruCache

# Mark in the `ETag` of a reply that comes from a fetch and not from the cache.
_FETCHED = "-fetched"
_PACKED = '-gzip"'
# Memory of one cached body beside its bytes and headers: Python objects and the LRU entry.
_OVERHEAD_BYTES = 700
_HEADER_BYTES = 220


def with_mark(etag: str) -> str:
    """Return the tag with the mark of a fetch."""
    return f'{etag[:-1]}{_FETCHED}"'


def without_mark(etag: str) -> str:
    """Return the tag that the same bars have when the cache answers."""
    return etag.replace(_FETCHED, "", 1)


def is_fetched(etag: str) -> bool:
    """Return whether the tag carries the mark of a fetch."""
    return _FETCHED in etag


@dataclass(frozen=True, slots=True)
class Rendered:
    """One rendered body with its `ETag` and its headers."""

    body: bytes
    etag: str
    is_gzip: bool
    # Further headers of this body: name and value.
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def held_bytes(self) -> int:
        """Memory that the cached body takes, in bytes."""
        said = sum(len(name) + len(value) for name, value in self.headers)
        return (
            len(self.body)
            + len(self.etag)
            + said
            + _HEADER_BYTES * len(self.headers)
            + _OVERHEAD_BYTES
        )

    def packed(self) -> Rendered:
        """Return the same reply with its body gzipped."""
        if self.is_gzip:
            return self
        # Without `mtime=0` equal bodies would give different bytes under the same tag.
        # Level 4 takes a third of the time of 6 and gives 2 % more bytes.
        body = gzip.compress(self.body, compresslevel=4, mtime=0)
        return replace(self, body=body, etag=self.etag[:-1] + _PACKED, is_gzip=True)

    def unpacked(self) -> Rendered:
        """Return the same reply with its plain body."""
        if not self.is_gzip:
            return self
        etag = f'{self.etag.removesuffix(_PACKED)}"'
        return replace(self, body=gzip.decompress(self.body), etag=etag, is_gzip=False)

    def as_file(self) -> bytes:
        """Return the content of a file with this body: a line of JSON, then the body."""
        head = {
            "etag": self.etag,
            "is_gzip": self.is_gzip,
            "headers": self.headers,
            "crc32": zlib.crc32(self.body),
            "n_bytes": len(self.body),
        }
        return orjson.dumps(head) + b"\n" + self.body

    @classmethod
    def from_file(cls, content: bytes) -> Rendered | None:
        """Return the body in a file's content; None when the content is damaged."""
        line, _, body = content.partition(b"\n")
        try:
            head = orjson.loads(line)
            if (head["n_bytes"], head["crc32"]) != (len(body), zlib.crc32(body)):
                return None
            headers = tuple((str(name), str(value)) for name, value in head["headers"])
            return cls(body, str(head["etag"]), bool(head["is_gzip"]), headers)
        except (KeyError, TypeError, ValueError):
            return None


def rendered_cache(max_bytes: int) -> LruCache[bytes, Rendered]:
    """Return an LRU cache of rendered bodies, bounded by bytes; objects and headers are counted too.

    Not Django's cache: a hit there costs a file or a socket and a copy of the whole body, more
    than the rest of a hit. Each process has its own cache.
    """
    return LruCache(max_bytes, lambda key, rendered: len(key) + rendered.held_bytes)
