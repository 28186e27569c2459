"""TradingView's error messages, each translated to an error of ours."""

from __future__ import annotations

from typing import Any

from datasets.errors import (
    AuthExpired,
    FeedProtocol,
    FetchError,
    NotPermitted,
    RateLimited,
    SymbolNotFound,
    TimeframeUnavailable,
)
from datasets.tradingview.frames import not_understood, printable

# A `protocol_error` with one of these beginnings means: too many calls from this address.
_TOO_MANY = ("banned", "user connections limit", "max state sessions", "max sessions rate")


def symbol_error(parameters: list[Any], full_symbol: str) -> FetchError:
    """Return the error of a `symbol_error`: [chart session, symbol id, reason, …]."""
    reason = _text(parameters, 2)
    if reason == "invalid symbol":
        return SymbolNotFound(
            f"TradingView does not know {full_symbol}. Check the exchange and the symbol; search finds both."
        )
    if reason == "permission denied":
        group = _text(parameters, 4)
        return NotPermitted(
            f"This TradingView account may not see {full_symbol}"
            f"{f' ({group})' if group else ''}. Sign in with an account that may."
        )
    return FeedProtocol(
        f"TradingView refuses {full_symbol} for a reason not known here: {reason!r}. "
        "Nothing was stored. See whether its own chart shows the symbol."
    )


def series_error(parameters: list[Any], full_symbol: str, timeframe: str) -> FetchError:
    """Return the error of a `series_error`: [chart session, series id, turnaround, reason, …]."""
    reason = _text(parameters, 3)
    if (
        reason.endswith("not_entitled")
        or reason == "custom_resolution"
        or reason.startswith("study_not_auth")
    ):
        return NotPermitted(
            f"This TradingView account may not see {full_symbol} at {timeframe} ({reason}). "
            "Choose another timeframe, or sign in with an account that may."
        )
    if reason.startswith("unsupported resolution"):
        return TimeframeUnavailable(
            f"{full_symbol} has no bars at {timeframe}. Choose another timeframe."
        )
    return FeedProtocol(
        f"TradingView refuses the bars for a reason not known here: {reason!r}. "
        f"Nothing was stored. See whether its own chart shows {full_symbol} at {timeframe}."
    )


def critical_error(parameters: list[Any]) -> FetchError:
    """Return the error of a `critical_error` of our own chart session."""
    reason = " ".join(_text(parameters, index) for index in range(1, len(parameters)))
    return not_understood(f"did not take the request: {reason[:200]!r}")


def protocol_error(parameters: list[Any]) -> FetchError:
    """Return the error of a `protocol_error`; the connection is closed after it."""
    reason = _text(parameters, 0)
    if reason == "bad auth token":
        return AuthExpired(
            "TradingView no longer accepts the auth token. Sign in again: with cookies, copy fresh ones "
            "from the browser into TV_SESSION; with TV_AUTH_TOKEN, set a fresh auth token."
        )
    if reason.lower().startswith(_TOO_MANY):
        return RateLimited(
            f"TradingView refuses because of too many calls ({reason!r}). "
            "All workers pause and try again after the cool-down."
        )
    return not_understood(f"reports an error in the conversation: {reason!r}")


def _text(parameters: list[Any], index: int) -> str:
    """Return one parameter as printable text of bounded length, "" where there is none."""
    return printable(str(parameters[index])) if index < len(parameters) else ""
