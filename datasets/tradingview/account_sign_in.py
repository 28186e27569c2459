"""Sign-in of an account, by its password or by the cookies of a browser."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import urlsplit

import orjson

from datasets.errors import AuthExpired, AuthFailed
from datasets.tradingview import refusals
from datasets.tradingview.auth_token import AuthToken, Credentials, read_claims
from datasets.tradingview.frames import printable
from datasets.tradingview.http import request

_AUTH_TOKEN = re.compile(r'"auth_token":"([^"]+)"')


def sign_in_with_password(credentials: Credentials, site_url: str) -> AuthToken:
    """Return the auth token that the site gives for the user name and the password."""
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
    return AuthToken.of(value)


def sign_in_with_cookies(credentials: Credentials, site_url: str) -> AuthToken:
    """Return the auth token in the page that the site sends to the browser with these cookies."""
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
    token = AuthToken.of(found[1])
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
