"""Credentials in the settings, and the auth token that a sign-in gives for them."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from typing import Any, Self

import orjson

GUEST_TOKEN = "unauthorized_user_token"
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

    @classmethod
    def of(cls, value: str) -> Self:
        """Return the auth token of this text; its end is in the claims, else in an hour."""
        expires_at = read_claims(value).get("exp")
        if isinstance(expires_at, int | float):
            return cls(value, float(expires_at))
        return cls(value, time.time() + _UNKNOWN_LIFETIME_S)

    def __repr__(self) -> str:
        return f"AuthToken(expires_at={self.expires_at:.0f})"

    __str__ = __repr__


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
