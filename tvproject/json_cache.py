"""JSON serializer for the values of the Redis cache."""

from __future__ import annotations

import json


class JsonSerializer:
    """Stores values as JSON. A pickle, Django's default, would let a writer of Redis run code here.

    Has the interface of `OPTIONS["serializer"]` of Django's Redis cache.
    """

    def dumps(self, value: object) -> bytes | int:
        """Return the bytes to store; an integer stays an integer, because Redis increments it."""
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> object:
        """Return the value of stored bytes."""
        return json.loads(data)
