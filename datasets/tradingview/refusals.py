"""TradingView's error messages, each translated to an error of ours."""

from __future__ import annotations

import re
from typing import Any

from datasets.errors import (
    AuthCaptcha,
    AuthExpired,
    AuthFailed,
    AuthTwoFactor,
    FeedProtocol,
    FetchError,
    NotPermitted,
    RateLimited,
    SignInError,
    SymbolNotFound,
    TimeframeUnavailable,
)
from datasets.tradingview.frames import not_understood, printable

# A refused sign-in with one of these texts means: too many tries.
_LOCKED_OUT = re.compile(r"locked out|trouble with that request|try again (a little )?later", re.I)
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
            f"{f' ({group})' if group else ''}. Sign in with an account that has access."
        )
    return FeedProtocol(
        f"TradingView refuses {full_symbol} for an unknown reason: {reason!r}. "
        "Nothing was stored. Check whether TradingView's own chart shows the symbol."
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
            "Choose another timeframe, or sign in with an account that has access."
        )
    if reason.startswith("unsupported resolution"):
        return TimeframeUnavailable(
            f"{full_symbol} has no bars at {timeframe}. Choose another timeframe."
        )
    return FeedProtocol(
        f"TradingView refuses the bars for an unknown reason: {reason!r}. "
        f"Nothing was stored. Check whether TradingView's own chart shows {full_symbol} at {timeframe}."
    )


def critical_error(parameters: list[Any]) -> FetchError:
    """Return the error of a `critical_error` of our own chart session."""
    reason = " ".join(_text(parameters, index) for index in range(1, len(parameters)))
    return not_understood(f"did not accept the request: {reason[:200]!r}")


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


def sign_in_error(answer: dict[str, Any], status: int) -> SignInError | RateLimited:
    """Return the error of a refused sign-in by password, from the JSON of its reply."""
    code = str(answer.get("code", ""))
    text = str(answer.get("error", ""))
    if "captcha" in code.lower() or "robot" in text.lower():
        return AuthCaptcha(
            "TradingView asks for a captcha. Sign in with a browser and set TV_SESSION from its cookies."
        )
    if code == "2FA_required" or answer.get("two_factor_types"):
        return AuthTwoFactor(
            "This account has two-factor sign-in. Sign in with a browser and set TV_SESSION from its cookies."
        )
    if code == "rate_limit" or status == 429 or _LOCKED_OUT.search(text):
        return locked_out()
    return AuthFailed("TradingView does not accept TV_USERNAME and TV_PASSWORD. Check both.")


def locked_out() -> RateLimited:
    """Return the error of a sign-in that TradingView has locked after too many tries."""
    return RateLimited(
        "TradingView has locked sign-in for this account or address for a while, after too many tries. "
        "All workers pause. With cookies in TV_SESSION, no password is sent."
    )


def _text(parameters: list[Any], index: int) -> str:
    """Return one parameter as printable text of bounded length, "" where there is none."""
    return printable(str(parameters[index])) if index < len(parameters) else ""
