"""Authentication by bearer token or by basic credentials.

An address with too many failures in a minute is refused. Tokens are looked up even then, because
they cannot be guessed: so a program with an old token does not lock out others at its address.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections import OrderedDict
from threading import Lock
from typing import Any

from django.contrib.auth.models import User
from django.db import Error
from rest_framework.authentication import BaseAuthentication, BasicAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from datasets.models import ApiToken, database
from datasets.serving import clients, sign_in_attempts

logger = logging.getLogger(__name__)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer tv_…`, a token that was made in the admin."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        kind, _, secret = header.partition(" ")
        if kind.lower() == "basic":
            return None
        if kind.lower() != "bearer":
            # Not as an anonymous caller: better to be refused than to go on as somebody else. The web
            # server gives an empty text for a header that holds other characters than ASCII.
            sentence = (
                "The Authorization header cannot be read; send `Bearer tv_…`, or basic credentials."
            )
            raise _failure(request, sentence)
        token = ApiToken.find(secret.strip())
        if token is None:
            raise _failure(request, "There is no such token; it may have been deleted.")
        if token.is_expired:
            at = f"{token.expires_at:%Y-%m-%d %H:%M}"
            raise _failure(request, f"The token expired on {at} UTC; ask for a new one.")
        if not token.user.is_active:
            raise _failure(request, "The account that the token belongs to is turned off.")
        _note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return how one may sign in; a browser is not offered the dialog of its own."""
        bearer = 'Bearer realm="api"'
        return bearer if "Sec-Fetch-Mode" in request.headers else f'{bearer}, Basic realm="api"'


class CountedBasicAuthentication(BasicAuthentication):
    """A user's name and password. Checked passwords are cached, because a check is slow."""

    def authenticate_credentials(
        self, userid: str, password: str, request: Any = None
    ) -> tuple[Any, None]:
        known = _passwords.find(userid, password)
        if known is not None:
            return known, None
        with sign_in_attempts.attempt(clients.address_of(request)):
            if "\0" in userid + password:
                raise AuthenticationFailed("Invalid username/password.")
            user, _ = super().authenticate_credentials(userid, password, request)
        _passwords.keep(userid, password, user)
        return user, None


def _note_use(token: ApiToken) -> None:
    """Update the token's `last_used_at`, at most once an hour, unless the update would block."""
    if token.is_use_noted:
        return
    try:
        with database.without_waiting():
            token.note_use()
    except Error as error:
        # The next request with this token tries again.
        logger.debug("the use of a token was not noted: %s", error)


def _failure(request: Any, sentence: str) -> AuthenticationFailed:
    """Count the failure and return it; raise `TooManyRequests` instead at one too many."""
    clients.failed_sign_ins.count(clients.address_of(request))
    return AuthenticationFailed(sentence)


class _Passwords:
    """LRU cache of checked passwords, as keyed hashes, in this process.

    An entry is valid only while the user's row holds the hash that the password was checked
    against, so a changed password or a disabled account takes effect at once.
    """

    _KEPT = 1000

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._kept: OrderedDict[bytes, tuple[int, str]] = OrderedDict()

    def find(self, name: str, password: str) -> User | None:
        """Return the user with this cached password, or None."""
        found = self._kept.get(self._digest(name, password))
        if found is None:
            return None
        return User.objects.filter(pk=found[0], password=found[1], is_active=True).first()

    def keep(self, name: str, password: str, user: User) -> None:
        """Cache the password for this user."""
        with self._lock:
            self._kept[self._digest(name, password)] = (user.pk, user.password)
            if len(self._kept) > self._KEPT:
                self._kept.popitem(last=False)

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")


_passwords = _Passwords()
