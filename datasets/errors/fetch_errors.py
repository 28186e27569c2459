"""Errors of one fetch: of TradingView, of its reply, or of the worker."""

from __future__ import annotations

from datasets.errors.root_error import DatasetsError


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
