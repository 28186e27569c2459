"""Sign-in to TradingView: an auth token by password, by a browser's cookies, or from the settings.

Refused credentials are an error; the service never falls back to guest access.
"""

from __future__ import annotations

import time

from datasets.errors import AuthExpired
from datasets.tradingview.account_sign_in import sign_in_with_cookies, sign_in_with_password
from datasets.tradingview.auth_token import GUEST_TOKEN, AuthToken, Credentials


def sign_in(credentials: Credentials, site_url: str) -> AuthToken:
    """Return an auth token for `credentials`.

    Raises `AuthFailed`, `AuthCaptcha`, `AuthTwoFactor`, `AuthExpired`, `RateLimited` for a
    lock-out, `FeedUnreachable` and `FeedTimeout`.
    """
    if credentials.kind == "guest":
        return AuthToken(GUEST_TOKEN, float("inf"))
    if credentials.kind == "token":
        token = AuthToken.of(credentials.auth_token)
        if token.expires_at <= time.time():
            raise AuthExpired(
                "The auth token in TV_AUTH_TOKEN has expired. Set a fresh auth token, or use TV_SESSION instead."
            )
        return token
    if credentials.kind == "cookies":
        return sign_in_with_cookies(credentials, site_url)
    return sign_in_with_password(credentials, site_url)
