"""Values in a shared cache as JSON."""

from __future__ import annotations

import json


class JsonSerializer:
    """Writes values as JSON: who can write into Redis must not be able to run code here, as with pickle.

    The interface is that of Django's `OPTIONS["serializer"]` for Redis.
    """

    def dumps(self, value: object) -> bytes | int:
        """Return what Redis keeps; a whole number as it is, because Redis counts with it."""
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> object:
        """Return the value that Redis has kept."""
        return json.loads(data)
