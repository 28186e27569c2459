"""Every error this project raises on purpose.

* DatasetsError
  x InvalidRequest               the caller can fix it; `errors` names each field
  x NotFound                     there is no such dataset or fetch
  x Disabled                     the operator has turned fetching and the API off
  x Refused                      a caller may not do it, or not now
    + Forbidden
    + TooManyRequests            · retryable, in the next minute
    + Busy                       · retryable, in a few seconds
    + QueueFull                  · retryable, when some fetches have ended
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
    + RateLimited                · retryable, after a cool-down for all workers
    + FeedTimeout                · retryable
    + FeedUnreachable            · retryable
    + FeedClosed                 · retryable
    + FeedProtocol               · permanent; TradingView answers in a way we do not know
    + BadBars                    · permanent; the reply is kept for the operator
      - WrongBars                · permanent; so is this reply
      - BarsChanged              · retryable; so is this reply
    + StoreFailed                · permanent; an operator must act
    + WorkerLost                 · retryable; workers died in the middle of it
    + FetchCancelled             · retryable; a person has taken it out of the queue
    + Unavailable                · retryable; a server or a disk of ours does not do its work
      - DatabaseUnavailable
      - CacheUnavailable
      - StateUnavailable
      - StoreUnavailable         · the disk with the datasets is not mounted
  x BackupFailed                 a backup could not be made or restored; only commands raise it
  x StoreError                   · retryable; reading our own files: healed by fetching again
    + FileMissing
    + FileCorrupt

`code` is stable: it is in the API's replies, on the `Fetch` row and in docs/api.md.
`retryable` says whether the same request can succeed later without anybody acting.
The status of each over HTTP is decided in `api/exceptions.py`, the retries in `tasks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class DatasetsError(Exception):
    """Base class; its message is a sentence for the person who asked."""

    code = "error"
    retryable = False


class InvalidRequest(DatasetsError):
    """A parameter is missing or wrong; `errors` maps each field to what is allowed."""

    code = "invalid_request"

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {field: list(messages) for field, messages in errors.items()}
        sentences = [message for messages in self.errors.values() for message in messages]
        super().__init__(" ".join(sentences))


class NotFound(DatasetsError):
    """What was asked for by its number is not in the catalog."""

    code = "not_found"


class Disabled(DatasetsError):
    """`TV_ENABLED=0`: fetching and `/api/tv/*` are turned off."""

    code = "disabled"


class Refused(DatasetsError):
    """The service could do it, but not for this caller, or not now."""

    code = "refused"


class Forbidden(Refused):
    """The caller's credentials do not go that far."""

    code = "forbidden"


class TooManyRequests(Refused):
    """One client has asked too often in this minute, or has too many fetches in the queue."""

    code = "too_many_requests"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Busy(Refused):
    """Too many requests of this kind are being answered at the same time."""

    code = "busy"
    retryable = True
    retry_after_s = 2.0


class QueueFull(Refused):
    """As many fetches wait as may, over all clients."""

    code = "queue_full"
    retryable = True
    retry_after_s = 30.0


class FetchError(DatasetsError):
    """A fetch failed. Nothing was cached; an older dataset stays as it was."""

    code = "fetch_failed"
    # Seconds before which trying again cannot help, where that is known.
    retry_after_s: float | None = None
    # The key of the fetch, or the search, for the log.
    subject = ""


class SymbolNotFound(FetchError):
    """TradingView does not know the symbol."""

    code = "symbol_not_found"


class NoData(FetchError):
    """TradingView knows the symbol and completed the reply, without a single bar."""

    code = "no_data"


class NotPermitted(FetchError):
    """The account, or the guest, may not see this symbol or timeframe."""

    code = "not_permitted"


class TimeframeUnavailable(FetchError):
    """The instrument has no bars of this timeframe."""

    code = "timeframe_unavailable"


class SignInError(FetchError):
    """TradingView did not accept the configured credentials."""


class AuthFailed(SignInError):
    """User name or password is wrong, or the sign-in page answered something else."""

    code = "auth_failed"


class AuthCaptcha(SignInError):
    """TradingView wants a captcha solved in a browser."""

    code = "auth_captcha"


class AuthTwoFactor(SignInError):
    """The account has two-factor sign-in; a cookie session is needed."""

    code = "auth_two_factor"


class AuthExpired(SignInError):
    """The cookie session or the token is no longer accepted."""

    code = "auth_expired"


class RateLimited(FetchError):
    """TradingView refuses because of too many calls; all workers pause."""

    code = "rate_limited"
    retryable = True


class FeedTimeout(FetchError):
    """The feed was silent for too long, or the whole fetch took too long."""

    code = "feed_timeout"
    retryable = True


class FeedUnreachable(FetchError):
    """No connection: the host is unknown, refuses, or its TLS certificate is not accepted."""

    code = "feed_unreachable"
    retryable = True


class FeedClosed(FetchError):
    """The feed closed the connection before the reply was complete."""

    code = "feed_closed"
    retryable = True


class FeedProtocol(FetchError):
    """The feed reported an error of the protocol, or said something that is not known."""

    code = "feed_protocol"


class BadBars(FetchError):
    """The reply holds a bar that cannot be one: a price that is no number, a volume below 0."""

    code = "bad_bars"
    reply: bytes = b""


class WrongBars(BadBars):
    """The reply is about something else: another instrument, bar length or age than asked for."""

    code = "wrong_bars"


class BarsChanged(BadBars):
    """An answer to the request for older bars changed newer bars that had come before."""

    code = "bars_changed"
    retryable = True


class StoreFailed(FetchError):
    """The file could not be written: disk full, folder read-only, too many open files."""

    code = "store_failed"


class WorkerLost(FetchError):
    """Every worker that took up the fetch died before it ended."""

    code = "worker_lost"
    retryable = True


class FetchCancelled(FetchError):
    """The fetch was taken out of the queue before it began; asking again starts another."""

    code = "fetch_cancelled"
    retryable = True


class Unavailable(FetchError):
    """A server or a disk that this service needs does not do its work; it may be back soon."""

    retryable = True
    retry_after_s = 5.0


class DatabaseUnavailable(Unavailable):
    """The catalog's database is away, locked, or on a disk that is full."""

    code = "database_unavailable"


class CacheUnavailable(Unavailable):
    """The Redis of `CACHE_URL` does not answer."""

    code = "cache_unavailable"


class StateUnavailable(Unavailable):
    """The folder `STATE_DIR` cannot be written: its disk is full or read-only."""

    code = "state_unavailable"


class StoreUnavailable(Unavailable):
    """The folder with the datasets is away: its disk is not mounted."""

    code = "store_unavailable"


class BackupFailed(DatasetsError):
    """A backup could not be made, or is not whole and was not restored."""

    code = "backup_failed"


class StoreError(DatasetsError):
    """A dataset's file cannot be read; `serving.py` answers with a new fetch."""

    code = "store_unreadable"
    # The next fetch heals it; of a pinned dataset there is none, and the error says so itself.
    retryable = True


class FileMissing(StoreError):
    """The dataset's file is not there: it was deleted or invalidated; fetching it again heals it."""

    code = "file_missing"


class FileCorrupt(StoreError):
    """The dataset's file is damaged; fetching it again heals it."""

    code = "file_corrupt"


def all_codes() -> dict[str, type[DatasetsError]]:
    """Map every stable code to its class, for documentation and for tests."""
    found: dict[str, type[DatasetsError]] = {}
    pending: list[type[DatasetsError]] = [DatasetsError]
    while pending:
        error = pending.pop()
        pending.extend(error.__subclasses__())
        # A subclass without a code of its own has that of its parent, which comes first.
        found.setdefault(error.code, error)
    return found
