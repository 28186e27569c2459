"""Auth token for the calls to TradingView; all workers share one sign-in.

Django's cache keeps the auth token, encrypted under `SECRET_KEY`, until shortly before the
token expires. A refused sign-in starts a cool-down, so that retries do not lock the account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import orjson
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.cache import cache
from django.db.models import Q

from datasets import errors
from datasets.errors import FeedTimeout, FetchError, RateLimited, SignInError
from datasets.models import SignIn, database
from datasets.tradingview.auth_token import AuthToken, Credentials
from datasets.tradingview.sign_in import sign_in

# Renew the auth token this long before it expires: longer than the longest fetch.
MARGIN_S = 300.0
REFUSED_COOL_DOWN = timedelta(minutes=15)
# Longer than a sign-in can take (the deadline in `tradingview/http.py`).
_LOCK = timedelta(seconds=60)
_NAP_S = 0.05
_CACHE_KEY = "tokens:token"


def credentials() -> Credentials:
    """Return the operator's credentials from the settings."""
    return Credentials(
        username=settings.TV_USERNAME,
        password=settings.TV_PASSWORD,
        session=settings.TV_SESSION,
        session_sign=settings.TV_SESSION_SIGN,
        user_id=settings.TV_USER_ID,
        auth_token=settings.TV_AUTH_TOKEN,
    )


def current_auth_token(*, refused: str = "", on_wait: Callable[[], None] = lambda: None) -> str:
    """Return an auth token that TradingView should accept; sign in when none is kept.

    `refused` is an auth token that TradingView has just refused; it is not returned again,
    unless there are no credentials to sign in with. Waits, calling `on_wait`, while another
    worker signs in. Raises the errors of `sign_in`, also during the cool-down after a refusal.
    """
    wanted = credentials()
    if wanted.kind in ("guest", "token"):
        return sign_in(wanted, settings.TV_SITE_URL).value
    fingerprint = _fingerprint(wanted)
    deadline = time.monotonic() + 2 * _LOCK.total_seconds()
    while True:
        kept = _kept_auth_token(fingerprint, refused)
        if kept:
            return kept
        _raise_refusal(fingerprint)
        with _sign_in_lock() as is_ours:
            if is_ours:
                return _sign_in_once(wanted, fingerprint, refused)
        if time.monotonic() > deadline:
            raise FeedTimeout(
                "Another worker's sign-in did not end in time. The fetch can be tried again."
            )
        on_wait()
        database.give_connection_back()
        time.sleep(_NAP_S)


def note_refusal(error: SignInError) -> None:
    """Start the cool-down of sign-ins after the chart socket has refused a fresh auth token."""
    cache.delete(_CACHE_KEY)
    _note_refusal(_fingerprint(credentials()), error)


def sign_in_state() -> dict[str, str | None]:
    """Return the kind and the state of the sign-in for the operator; contains no secret."""
    wanted = credentials()
    row = SignIn.objects.filter(pk=SignIn.SINGLETON, fingerprint=_fingerprint(wanted)).first()
    refused = (
        row is not None and row.refused_until is not None and _is_refusal_of_now(row.refused_until)
    )
    if wanted.kind in ("guest", "token"):
        state = "guest" if wanted.kind == "guest" else "ready"
    elif refused:
        state = "refused"
    else:
        state = "signed_in" if _kept_auth_token(_fingerprint(wanted)) else "not_yet"
    return {
        "kind": wanted.kind,
        "state": state,
        "code": row.refused_code if row is not None and refused else None,
        "message": row.refused_message if row is not None and refused else None,
    }


def last_refusal() -> tuple[str, str] | None:
    """Return code and sentence of the last refused sign-in; None when a later one succeeded.

    Also after the cool-down: the refusal lasts until a sign-in succeeds or the credentials change.
    """
    row = SignIn.objects.filter(
        pk=SignIn.SINGLETON, fingerprint=_fingerprint(credentials())
    ).first()
    return (row.refused_code, row.refused_message) if row and row.refused_code else None


def _sign_in_once(wanted: Credentials, fingerprint: str, refused: str) -> str:
    """Sign in and keep the auth token; the lock's last holder may already have done both."""
    kept = _kept_auth_token(fingerprint, refused)
    if kept:
        return kept
    _raise_refusal(fingerprint)
    database.give_connection_back()
    try:
        token = sign_in(wanted, settings.TV_SITE_URL)
    except (SignInError, RateLimited) as error:
        _note_refusal(fingerprint, error)
        raise
    _keep_auth_token(token, fingerprint)
    _note(
        fingerprint,
        refused_code="",
        refused_message="",
        refused_until=None,
        signed_in_at=database.shared_now(),
    )
    return token.value


def _note_refusal(fingerprint: str, error: SignInError | RateLimited) -> None:
    error.retry_after_s = REFUSED_COOL_DOWN.total_seconds()
    until = database.now() + REFUSED_COOL_DOWN
    _note(fingerprint, refused_code=error.code, refused_message=str(error), refused_until=until)


def _note(fingerprint: str, **values: str | datetime | None) -> None:
    SignIn.objects.filter(pk=SignIn.SINGLETON).update(fingerprint=fingerprint, **values)


@contextmanager
def _sign_in_lock() -> Iterator[bool]:
    """Yield True while this worker holds the lock on signing in; False when another worker does."""
    SignIn.objects.get_or_create(pk=SignIn.SINGLETON)
    owner, now = uuid4().hex, database.now()
    is_free = Q(locked_until=None) | Q(locked_until__lt=now) | Q(locked_until__gt=now + 2 * _LOCK)
    won = SignIn.objects.filter(is_free, pk=SignIn.SINGLETON).update(
        locked_by=owner, locked_until=now + _LOCK
    )
    if not won:
        yield False
        return
    try:
        yield True
    finally:
        # Only our own lock: after its end, another worker may hold it.
        SignIn.objects.filter(pk=SignIn.SINGLETON, locked_by=owner).update(
            locked_by="", locked_until=None
        )


def _raise_refusal(fingerprint: str) -> None:
    """Raise the error of the last refused sign-in with these credentials, during its cool-down."""
    row = SignIn.objects.filter(pk=SignIn.SINGLETON, fingerprint=fingerprint).first()
    if row is None or row.refused_until is None or not _is_refusal_of_now(row.refused_until):
        return
    error_class = errors.all_codes()[row.refused_code]
    left = (row.refused_until - database.now()).total_seconds()
    error = error_class(
        f"{row.refused_message} The service does not sign in again for {left / 60:.0f} minutes, or until it starts with other "
        "credentials."
    )
    if isinstance(error, FetchError):
        error.retry_after_s = left
    raise error


def _is_refusal_of_now(refused_until: datetime) -> bool:
    """Return whether the cool-down lasts now; a later end was written under a wrong clock."""
    left = refused_until - database.now()
    return timedelta() < left <= REFUSED_COOL_DOWN


# --- the kept auth token -----------------------------------------------------------------


def _keep_auth_token(token: AuthToken, fingerprint: str) -> None:
    now = database.shared_now().timestamp()
    # A token with a life shorter than the margin is used for half its life; renewing it
    # `MARGIN_S` early would mean a sign-in for every fetch.
    renew_at = max(token.expires_at - MARGIN_S, (now + token.expires_at) / 2)
    if renew_at <= now:
        return
    document = orjson.dumps([fingerprint, token.value, renew_at])
    cache.set(_CACHE_KEY, _cipher().encrypt(document).decode(), timeout=renew_at - now)


def _kept_auth_token(fingerprint: str, refused: str = "") -> str:
    """Return the kept auth token of these credentials; "" if there is none or it is `refused`."""
    sealed = cache.get(_CACHE_KEY)
    if sealed is None:
        return ""
    try:
        owner, value, renew_at = orjson.loads(_cipher().decrypt(sealed))
    except (InvalidToken, ValueError):
        # Encrypted under another SECRET_KEY.
        return ""
    is_good = (
        owner == fingerprint and value != refused and renew_at > database.shared_now().timestamp()
    )
    return str(value) if is_good else ""


def _cipher() -> Fernet:
    digest = hashlib.sha256(b"tradingview-token" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def _fingerprint(wanted: Credentials) -> str:
    parts = [wanted.username, wanted.password, wanted.session, wanted.session_sign, wanted.user_id]
    return hmac.new(settings.SECRET_KEY.encode(), orjson.dumps(parts), hashlib.sha256).hexdigest()
