"""Sign-in to TradingView: an auth token by password, by a browser's cookies, or from the settings.

Refused credentials are an error; the service never falls back to guest access.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from datasets.errors import (
    AuthExpired,
    AuthFailed,
)
from datasets.tradingview import refusals
from datasets.tradingview.frames import printable
from datasets.tradingview.http import request

GUEST_TOKEN = "unauthorized_user_token"
_AUTH_TOKEN = re.compile(r'"auth_token":"([^"]+)"')
# An auth token lives for 4 h. A token without an end time is renewed after an hour.
_UNKNOWN_LIFETIME_S = 3600.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials in the settings; `kind` names the ones in use. Its `repr` hides them."""

    username: str = ""
    password: str = ""
    session: str = ""
    session_sign: str = ""
    user_id: str = ""
    auth_token: str = ""

    @property
    def kind(self) -> str:
        """`token`, `cookies`, `password` or `guest`, in this order of precedence."""
        if self.auth_token:
            return "token"
        if self.session:
            return "cookies"
        return "password" if self.username or self.password else "guest"

    def __repr__(self) -> str:
        return f"Credentials(kind={self.kind!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class AuthToken:
    """An auth token and the UNIX second of its end. Its `repr` hides the value."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"AuthToken(expires_at={self.expires_at:.0f})"

    __str__ = __repr__


def sign_in(credentials: Credentials, site_url: str) -> AuthToken:
    """Return an auth token for `credentials`.

    Raises `AuthFailed`, `AuthCaptcha`, `AuthTwoFactor`, `AuthExpired`, `RateLimited` for a
    lock-out, `FeedUnreachable` and `FeedTimeout`.
    """
    if credentials.kind == "guest":
        return AuthToken(GUEST_TOKEN, float("inf"))
    if credentials.kind == "token":
        token = _auth_token(credentials.auth_token)
        if token.expires_at <= time.time():
            raise AuthExpired(
                "The auth token in TV_AUTH_TOKEN has expired. Set a fresh auth token, or use TV_SESSION instead."
            )
        return token
    if credentials.kind == "cookies":
        return _with_cookies(credentials, site_url)
    return _with_password(credentials, site_url)


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of an auth token (a JWT), unverified; {} for any other text."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _auth_token(value: str) -> AuthToken:
    expires_at = read_claims(value).get("exp")
    if isinstance(expires_at, int | float):
        return AuthToken(value, float(expires_at))
    return AuthToken(value, time.time() + _UNKNOWN_LIFETIME_S)


# --- password ----------------------------------------------------------------------------


def _with_password(credentials: Credentials, site_url: str) -> AuthToken:
    if not (credentials.username and credentials.password):
        raise AuthFailed("TV_USERNAME and TV_PASSWORD belong together; one of them is not set.")
    form = {"username": credentials.username, "password": credentials.password, "remember": "on"}
    status, body, _ = request("POST", f"{site_url}/accounts/signin/", purpose="sign-in", data=form)
    answer = None
    with suppress(orjson.JSONDecodeError):
        answer = orjson.loads(body)
    if not isinstance(answer, dict):
        if status == 429:
            raise refusals.locked_out()
        raise AuthFailed(
            f"TradingView answered the sign-in with a page (HTTP {status}) instead of a reply: it takes the service "
            "for a robot. Sign in with a browser and set TV_SESSION from its cookies."
        )
    # A successful reply has an empty "error".
    if answer.get("error") or answer.get("code") or status >= 400:
        raise refusals.sign_in_error(answer, status)
    user = answer.get("user")
    value = user.get("auth_token") if isinstance(user, dict) else None
    if not isinstance(value, str) or not value:
        raise AuthFailed(
            "TradingView accepted the password and sent no auth token. Use TV_SESSION instead."
        )
    return _auth_token(value)


# --- cookies -----------------------------------------------------------------------------


def _with_cookies(credentials: Credentials, site_url: str) -> AuthToken:
    _check_cookie("TV_SESSION", credentials.session)
    _check_cookie("TV_SESSION_SIGN", credentials.session_sign)
    # A header, not a cookie jar: the cookies must go to the configured host, whatever its domain.
    header = f"sessionid={credentials.session}"
    if credentials.session_sign:
        header += f"; sessionid_sign={credentials.session_sign}"
    answer = request("GET", f"{site_url}/", purpose="sign-in", headers={"Cookie": header})
    if answer.status == 429:
        raise refusals.locked_out()
    if answer.status in (400, 403):
        raise AuthFailed(
            f"TradingView refuses its page (HTTP {answer.status}): it takes the service for a robot. Open it in a browser "
            "on this network and copy fresh cookies into TV_SESSION and TV_SESSION_SIGN, or set TV_AUTH_TOKEN."
        )
    found = _AUTH_TOKEN.search(answer.body.decode(errors="replace"))
    if found is None:
        sentence = (
            "TradingView no longer accepts the cookie session. Sign in with a browser and copy `sessionid` and "
            "`sessionid_sign` into TV_SESSION and TV_SESSION_SIGN."
        )
        target = urlsplit(answer.location)
        if target.hostname and target.netloc != urlsplit(site_url).netloc:
            # TradingView redirects some accounts to the host of their country.
            sentence += (
                f" If they are fresh: TradingView redirects to {printable(target.hostname)}; "
                "set TV_SITE_URL to this host."
            )
        raise AuthExpired(sentence)
    token = _auth_token(found[1])
    owner = read_claims(token.value).get("user_id")
    if credentials.user_id.isdigit() and owner is not None and str(owner) != credentials.user_id:
        raise AuthFailed(
            "TV_SESSION belongs to another account than TV_USER_ID. Set both from one browser."
        )
    return token


def _check_cookie(name: str, value: str) -> None:
    if not re.fullmatch(r"[!-~]*", value):
        raise AuthFailed(
            f"{name} holds a character that no cookie has, such as a space or a typographic quotation mark. "
            "Copy the cookie again."
        )
