"""Auth tokens in TradingView's form: a JWT that lives four hours. They contain no secret."""

from __future__ import annotations

import base64
import time
from collections import Counter
from typing import Any

import orjson

LIFETIME_SECONDS = 14_400
ANONYMOUS = {"unauthorized_user_token", "widget_user_token"}


class Tokens:
    """Issues auth tokens and counts them by user."""

    def __init__(self) -> None:
        self._n_made: Counter[str] = Counter()

    def make(self, username: str, plan: str = "pro_premium") -> str:
        """Return a new auth token; the user name selects whether the chart socket accepts it."""
        self._n_made[username] += 1
        issued_at = int(time.time())
        lifetime = 60 if username == "shorttoken" else LIFETIME_SECONDS
        claims = {
            "user_id": 1_000_000 + sum(username.encode()),
            "exp": issued_at + lifetime,
            "iat": issued_at,
            "plan": plan,
            "prostatus": "non_pro",
            "ext_hours": 1,
            "perm": "",
            "max_charts": 10,
            "max_connections": 50,
            "username": username,
            "sign_in": self._n_made[username],
        }
        header = {"alg": "RS512", "kid": "sample", "typ": "JWT"}
        return ".".join([_part(header), _part(claims), _encoded(b"not a signature" * 8)])

    def reset(self) -> None:
        """Reset the counts."""
        self._n_made.clear()


def is_accepted(token: object) -> bool:
    """Return whether the chart socket accepts the auth token."""
    if not isinstance(token, str):
        return False
    if token in ANONYMOUS:
        return True
    claims = _claims(token)
    if claims is None or claims.get("username") == "badtoken":
        return False
    if claims.get("username") == "staletoken" and claims.get("sign_in") == 1:
        return False
    expires_at = claims.get("exp")
    return isinstance(expires_at, int) and expires_at > time.time()


def _claims(token: str) -> dict[str, Any] | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _part(value: dict[str, Any]) -> str:
    return _encoded(orjson.dumps(value))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
