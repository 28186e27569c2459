"""Errors that the caller of the service can correct, or must wait out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datasets.errors.root_error import DatasetsError


class InvalidRequest(DatasetsError):
    """A parameter is missing or wrong; `errors` maps each field to what is allowed."""

    code = "invalid_request"

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {field: list(messages) for field, messages in errors.items()}
        sentences = [message for messages in self.errors.values() for message in messages]
        super().__init__(" ".join(sentences))


class NotFound(DatasetsError):
    """The catalog has no dataset or fetch with this number."""

    code = "not_found"


class DatasetNotFound(NotFound):
    """No file holds these bars; the message names close matches and the command that fetches."""


class BarNotFound(DatasetNotFound):
    """No fetch of the series has brought a bar that opens at this instant."""


class ChangedMeanwhile(DatasetsError):
    """What the caller wants to replace has changed since the caller read it."""

    code = "changed_meanwhile"


class Disabled(DatasetsError):
    """`TV_ENABLED=0`: fetching and `/api/tv/*` are turned off."""

    code = "disabled"


class Refused(DatasetsError):
    """The service does not do this for this caller, or not at this moment."""

    code = "refused"


class Forbidden(Refused):
    """The caller's credentials do not permit the request."""

    code = "forbidden"


class TooManyRequests(Refused):
    """One client sent too many requests in this minute, or has too many fetches in the queue."""

    code = "too_many_requests"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Busy(Refused):
    """The service already answers too many requests of this kind."""

    code = "busy"
    retryable = True
    retry_after_s = 2.0


class QueueFull(Refused):
    """The queue holds the largest permitted number of fetches, of all clients together."""

    code = "queue_full"
    retryable = True
    retry_after_s = 30.0
