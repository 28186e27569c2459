"""Address of a place in a bucket, `s3://bucket/prefix`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

SCHEME = "s3"
# The rule of S3 for new buckets, without the exceptions for names of old ones.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Segments that every S3 server and every tool reads alike.
_PREFIX = re.compile(r"[\w!-][\w!.-]*(/[\w!-][\w!.-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A bucket, and the prefix of the objects in it; the prefix is empty or ends without a slash."""

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> BucketAddress:
        """Return the address that `s3://bucket/prefix` names. Raises `ValueError` for any other text."""
        parts = urlsplit(text)
        prefix = parts.path.strip("/")
        is_plain = not (parts.query or parts.fragment or any(ord(char) < 33 for char in text))
        if parts.scheme != SCHEME or not is_plain or not _BUCKET.fullmatch(parts.netloc):
            raise ValueError(text)
        if prefix and not _PREFIX.fullmatch(prefix):
            raise ValueError(text)
        return cls(parts.netloc, prefix)

    def __str__(self) -> str:
        return f"{SCHEME}://{self.bucket}/{self.prefix}".rstrip("/")
