"""Every error that this project raises on purpose, as one tree.

* DatasetsError
  x InvalidRequest               the caller can correct it; `errors` names each wrong field
  x NotFound                     the catalog has no such dataset or fetch
    + DatasetNotFound            no file holds the bars that a study asked for
      - FolderUnavailable        · retryable; also a StoreUnavailable
      - BarNotFound              the archive of the series has never had this bar
  x Disabled                     the operator has turned fetching and the API off
  x Refused                      the caller may not do it, or not now
    + Forbidden
    + TooManyRequests            · retryable within a minute
    + Busy                       · retryable within seconds
    + QueueFull                  · retryable when some fetches have ended
  x FetchError                   one fetch failed; `code` is on its row and in the reply
    + SymbolNotFound             · permanent
    + NoData                     · permanent
    + NotPermitted               · permanent
    + TimeframeUnavailable       · permanent
    + SignInError
      - AuthFailed               · permanent; an operator must act
      - AuthCaptcha              · permanent; an operator must act
      - AuthTwoFactor            · permanent; an operator must act
      - AuthExpired              · permanent; an operator must act
    + RateLimited                · retryable after a cool-down of all workers
    + FeedTimeout                · retryable
    + FeedUnreachable            · retryable
    + FeedClosed                 · retryable
    + FeedProtocol               · permanent; our code does not understand the reply
    + BadBars                    · permanent; the reply is kept for the operator
      - WrongBars                · permanent; the reply is kept for the operator
      - BarsChanged              · retryable; the reply is kept for the operator
    + StoreFailed                · permanent; an operator must act
    + WorkerLost                 · retryable; workers died during the fetch
    + FetchCancelled             · retryable; a person took the fetch out of the queue
    + Unavailable                · retryable; one of our servers or disks does not work
      - DatabaseUnavailable
      - CacheUnavailable
      - StateUnavailable
      - StoreUnavailable         · the disk with the datasets is not mounted, or the bucket is away
        · ObjectChanged          · another process wrote the object of a bucket meanwhile
  x BackupFailed                 a backup was not made or not restored; only commands raise it
  x StoreError                   · retryable; one of our files is unreadable, a new fetch repairs it
    + FileMissing
    + FileCorrupt
    + LockMismatch               a dataset differs from the one in a study's lock file
  x NotCurrent                   · retryable; closed bars are missing; only the loader raises it
  x ServiceFailed                the loader got no usable reply from the service
  x ReplyTooLarge                a reply to an assistant is too long; only its server raises it

`code` is stable: it is in the replies of the API, on the `Fetch` row and in docs/api.md.
`retryable` tells whether the same request can succeed later without an operator's help.
`api/exceptions.py` decides the HTTP status of each error, `fetching/tasks.py` the retries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


class DatasetsError(Exception):
    """Base class. The message is a sentence for the user."""

    code = "error"
    retryable = False

    def __reduce__(self) -> tuple[Any, ...]:
        # `Exception` would call `__init__` with the message, which some of these classes do not take:
        # an error could not leave the process of a sweep's worker.
        return type(self).__new__, (type(self), *self.args), self.__dict__


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


class FetchError(DatasetsError):
    """A fetch failed. Nothing was stored; an older dataset stays unchanged."""

    code = "fetch_failed"
    # Seconds until a retry can succeed; None where unknown.
    retry_after_s: float | None = None
    # The key of the fetch, or the text of the symbol search; for the log.
    subject = ""


class SymbolNotFound(FetchError):
    """TradingView has no such symbol."""

    code = "symbol_not_found"


class NoData(FetchError):
    """TradingView has the symbol, and completed the reply without any bar."""

    code = "no_data"


class NotPermitted(FetchError):
    """TradingView does not show this symbol or timeframe to this account or to guests."""

    code = "not_permitted"


class TimeframeUnavailable(FetchError):
    """The instrument has no bars of this timeframe."""

    code = "timeframe_unavailable"


class SignInError(FetchError):
    """TradingView did not accept the configured credentials."""


class AuthFailed(SignInError):
    """The user name or the password is wrong, or the sign-in page sent an unknown reply."""

    code = "auth_failed"


class AuthCaptcha(SignInError):
    """TradingView requires a captcha, which a person must solve in a browser."""

    code = "auth_captcha"


class AuthTwoFactor(SignInError):
    """The account has two-factor sign-in, so a cookie session is needed."""

    code = "auth_two_factor"


class AuthExpired(SignInError):
    """TradingView no longer accepts the cookie session or the auth token."""

    code = "auth_expired"


class RateLimited(FetchError):
    """TradingView refuses after too many calls; all workers pause."""

    code = "rate_limited"
    retryable = True


class FeedTimeout(FetchError):
    """The feed sent nothing within the time limit, or the whole fetch exceeded its deadline."""

    code = "feed_timeout"
    retryable = True


class FeedUnreachable(FetchError):
    """No connection: the host name is unknown, the host refuses, or its TLS certificate is invalid."""

    code = "feed_unreachable"
    retryable = True


class FeedClosed(FetchError):
    """The feed closed the connection before the reply was complete."""

    code = "feed_closed"
    retryable = True


class FeedProtocol(FetchError):
    """The feed reported a protocol error, or sent a message that our code does not understand."""

    code = "feed_protocol"


class BadBars(FetchError):
    """The reply holds an impossible bar: a price that is not a number, or a volume below 0."""

    code = "bad_bars"
    reply: bytes = b""


class WrongBars(BadBars):
    """The reply has another instrument, bar length or age than the request."""

    code = "wrong_bars"


class BarsChanged(BadBars):
    """The reply to a request for older bars changed newer bars that were already received."""

    code = "bars_changed"
    retryable = True


class StoreFailed(FetchError):
    """The file was not written: the disk is full, the folder read-only, or too many files are open."""

    code = "store_failed"


class WorkerLost(FetchError):
    """Every worker that started the fetch died before the fetch ended."""

    code = "worker_lost"
    retryable = True


class FetchCancelled(FetchError):
    """A person took the fetch out of the queue before it began; a new request starts another."""

    code = "fetch_cancelled"
    retryable = True


class Unavailable(FetchError):
    """A server or a disk of this service does not work at the moment."""

    retryable = True
    retry_after_s = 5.0


class DatabaseUnavailable(Unavailable):
    """The database is unreachable or locked, or its disk is full."""

    code = "database_unavailable"


class CacheUnavailable(Unavailable):
    """The Redis server of `CACHE_URL` does not answer."""

    code = "cache_unavailable"


class StateUnavailable(Unavailable):
    """The folder `STATE_DIR` is not writable: its disk is full or read-only."""

    code = "state_unavailable"


class StoreUnavailable(Unavailable):
    """The folder with the datasets is absent: its disk is not mounted; or the bucket does not answer."""

    code = "store_unavailable"


class ObjectChanged(StoreUnavailable):
    """An object of a bucket has another version than the writer expected; nothing was written."""


class FolderUnavailable(DatasetNotFound, StoreUnavailable):
    """A study found no dataset at all: nothing was fetched yet, or the disk is not mounted."""

    code = StoreUnavailable.code
    retryable = True


class BackupFailed(DatasetsError):
    """A backup was not made, or is incomplete and was not restored."""

    code = "backup_failed"


class StoreError(DatasetsError):
    """A dataset's file is unreadable; `serving` answers with a new fetch."""

    code = "store_unreadable"
    # The next fetch repairs the file. A pinned dataset gets no fetch; its error sets this to False.
    retryable = True


class FileMissing(StoreError):
    """The dataset's file was deleted or invalidated; a new fetch repairs it."""

    code = "file_missing"


class FileCorrupt(StoreError):
    """The dataset's file is damaged; a new fetch repairs it."""

    code = "file_corrupt"


class LockMismatch(StoreError):
    """A dataset differs from the one in the lock file; the message names the difference."""


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


def all_codes() -> dict[str, type[DatasetsError]]:
    """Map every stable code to its class, for the documentation and the tests."""
    found: dict[str, type[DatasetsError]] = {}
    pending: list[type[DatasetsError]] = [DatasetsError]
    while pending:
        error = pending.pop()
        pending.extend(error.__subclasses__())
        # A subclass without its own code inherits the code of its parent, which stands first.
        found.setdefault(error.code, error)
    return found
