"""The root of the tree of errors."""

from __future__ import annotations

from typing import Any


class DatasetsError(Exception):
    """Base class. The message is a sentence for the user."""

    code = "error"
    retryable = False

    def __reduce__(self) -> tuple[Any, ...]:
        # `Exception` would call `__init__` with the message, which some of these classes do not take:
        # an error could not leave the process of a sweep's worker.
        return type(self).__new__, (type(self), *self.args), self.__dict__
