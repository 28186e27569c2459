"""Authentication by bearer token or by basic credentials.

An address with too many failures in a minute is refused. Tokens are looked up even then, because
they cannot be guessed: so a program with an old token does not lock out others at its address.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import Error
from django.http import HttpRequest
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from datasets.lru_cache import LruCache
from datasets.models import ApiToken, database, hash_secret
from datasets.serving import clients, sign_in_attempts
from datasets.serving.trust import Trusted

logger = logging.getLogger(__name__)

# Tokens with their users, by the hash of the secret.
_tokens: Trusted[str, ApiToken] = Trusted()


def authenticate(request: HttpRequest) -> tuple[User, ApiToken | None] | None:
    """Return the user and the token of the request's credentials; None for a request without any.

    Credentials are an API token, a name with a password, or the session of a signed-in user.
    Raises `AuthenticationFailed` for wrong credentials, `TooManyRequests` after too many of them.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return _by_session(request)
    kind, _, secret = header.partition(" ")
    if kind.lower() == "basic":
        # DRF's class reads the headers alone, which Django's request has too.
        return _basic.authenticate(request)  # type: ignore[arg-type]
    if kind.lower() == "bearer":
        return _by_token(request, secret.strip())
    # Not as an anonymous caller: better to be refused than to go on as somebody else. The web
    # server gives an empty text for a header that holds other characters than ASCII.
    raise _failure(
        request,
        "The Authorization header cannot be read; send `Bearer tv_…`, or basic credentials.",
    )


def sign_in_hint(request: HttpRequest) -> str:
    """Return the `WWW-Authenticate` header; a browser is not offered its own dialog."""
    bearer = 'Bearer realm="api"'
    return bearer if "Sec-Fetch-Mode" in request.headers else f'{bearer}, Basic realm="api"'


class ApiAuthentication(SessionAuthentication):
    """`authenticate` for Django REST framework."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken | None] | None:
        found = authenticate(request._request)
        if found is not None and "HTTP_AUTHORIZATION" not in request.META:
            self.enforce_csrf(request)
        return found

    def authenticate_header(self, request: Request) -> str:
        return sign_in_hint(request._request)


def _by_session(request: HttpRequest) -> tuple[User, None] | None:
    # Without the cookie there is no session to look up.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    user = request.user
    return (user, None) if isinstance(user, User) and user.is_active else None


def _by_token(request: HttpRequest, secret: str) -> tuple[User, ApiToken]:
    token = _tokens.get(hash_secret(secret), lambda: ApiToken.find(secret))
    if token is None:
        raise _failure(request, "There is no such token; it may have been deleted.")
    if token.is_expired:
        at = f"{token.expires_at:%Y-%m-%d %H:%M}"
        raise _failure(request, f"The token expired on {at} UTC; ask for a new one.")
    if not token.user.is_active:
        raise _failure(request, "The account that the token belongs to is turned off.")
    _note_use(token)
    return token.user, token


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


_basic = CountedBasicAuthentication()


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
    """Checked passwords, as keyed hashes, in this process; the least recently used ones go first.

    An entry is valid only while the user's row holds the hash that the password was checked
    against, so a changed password or a disabled account takes effect at once.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._kept: LruCache[bytes, tuple[int, str]] = LruCache(1000)

    def find(self, name: str, password: str) -> User | None:
        """Return the user with this cached password, or None."""
        found = self._kept.find(self._digest(name, password))
        if found is None:
            return None
        return User.objects.filter(pk=found[0], password=found[1], is_active=True).first()

    def keep(self, name: str, password: str, user: User) -> None:
        """Cache the password for this user."""
        self._kept.keep(self._digest(name, password), (user.pk, user.password))

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")


_passwords = _Passwords()
