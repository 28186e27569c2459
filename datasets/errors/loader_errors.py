"""Errors that only the loader or the server for assistants raises."""

from __future__ import annotations

from datetime import datetime

from datasets.errors.root_error import DatasetsError


class NotCurrent(DatasetsError):
    """Closed bars of a series are missing, or nobody can say so; the message gives the reason.

    `available_at` is the instant, aware, UTC, at which the missing bars are expected to be there;
    None where nothing fetches them. `lag_bars` is the number of missing bars; None for unknown hours.
    """

    code = "not_current"
    retryable = True

    def __init__(
        self, message: str, *, lag_bars: int | None = None, available_at: datetime | None = None
    ) -> None:
        self.lag_bars = lag_bars
        self.available_at = available_at
        super().__init__(message)


class ServiceFailed(DatasetsError):
    """The loader did not reach the service, or could not use its reply.

    `code` is that of the service's reply, where the reply was an error with a code.
    """


class ReplyTooLarge(DatasetsError):
    """The reply of a tool has more characters than an assistant should read at once."""

    code = "too_large"
