"""With which token do we call TradingView now? One sign-in for all workers.

The token is kept in Django's cache, encrypted under `SECRET_KEY`, until shortly before it
ends. A refused sign-in opens a cool-down, so that no loop of retries locks the account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import orjson
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from datasets import errors
from datasets.errors import FeedTimeout, FetchError, RateLimited, SignInError
from datasets.models import SignIn, database
from datasets.tradingview.sign_in import AuthToken, Credentials, sign_in

# Renew so long before a token ends: longer than the longest fetch.
MARGIN_S = 300.0
REFUSED_COOL_DOWN = timedelta(minutes=15)
# Longer than a sign-in can take (the deadline in `tradingview/http.py`).
_LOCK = timedelta(seconds=60)
_NAP_S = 0.05
_CACHE_KEY = "tokens:token"


def credentials() -> Credentials:
    """Return what the operator has set in the environment."""
    return Credentials(
        username=settings.TV_USERNAME,
        password=settings.TV_PASSWORD,
        session=settings.TV_SESSION,
        session_sign=settings.TV_SESSION_SIGN,
        user_id=settings.TV_USER_ID,
        auth_token=settings.TV_AUTH_TOKEN,
    )


def current_token(*, refused: str = "", on_wait: Callable[[], None] = lambda: None) -> str:
    """Return a token that TradingView should accept; sign in when there is none.

    `refused` is a token that TradingView has just refused: it is not returned again, unless
    there is nothing to sign in with. Waits while another worker signs in. Raises what
    `sign_in` raises, also while the cool-down after an earlier refusal lasts.
    """
    wanted = credentials()
    if wanted.kind in ("guest", "token"):
        return sign_in(wanted, settings.TV_SITE_URL).value
    fingerprint = _fingerprint(wanted)
    deadline = time.monotonic() + 2 * _LOCK.total_seconds()
    while True:
        kept = _kept_token(fingerprint, refused)
        if kept:
            return kept
        _raise_refusal(fingerprint)
        owner = _lock()
        if owner:
            try:
                return _as_lock_holder(wanted, fingerprint, refused)
            finally:
                _unlock(owner)
        if time.monotonic() > deadline:
            raise FeedTimeout("Another worker's sign-in did not end. It can be tried again.")
        on_wait()
        database.give_connection_back()
        time.sleep(_NAP_S)


def note_refusal(error: SignInError) -> None:
    """Open the cool-down of a refused sign-in, for a fresh token that the chart socket refuses."""
    cache.delete(_CACHE_KEY)
    _note_refusal(_fingerprint(credentials()), error)


def sign_in_state() -> dict[str, str | None]:
    """Return for the operator: how we sign in, and what came of it. Holds no secret."""
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
        state = "signed_in" if _kept_token(_fingerprint(wanted)) else "not_yet"
    return {
        "kind": wanted.kind,
        "state": state,
        "code": row.refused_code if row is not None and refused else None,
        "message": row.refused_message if row is not None and refused else None,
    }


def _as_lock_holder(wanted: Credentials, fingerprint: str, refused: str) -> str:
    """Sign in, unless the lock's last holder has just done so; return the token."""
    kept = _kept_token(fingerprint, refused)
    if kept:
        return kept
    _raise_refusal(fingerprint)
    database.give_connection_back()
    try:
        token = sign_in(wanted, settings.TV_SITE_URL)
    except (SignInError, RateLimited) as error:
        _note_refusal(fingerprint, error)
        raise
    _keep(token, fingerprint)
    _note(
        fingerprint,
        refused_code="",
        refused_message="",
        refused_until=None,
        signed_in_at=timezone.now(),
    )
    return token.value


def _note_refusal(fingerprint: str, error: SignInError | RateLimited) -> None:
    error.retry_after_s = REFUSED_COOL_DOWN.total_seconds()
    until = database.now() + REFUSED_COOL_DOWN
    _note(fingerprint, refused_code=error.code, refused_message=str(error), refused_until=until)


def _note(fingerprint: str, **values: str | datetime | None) -> None:
    SignIn.objects.filter(pk=SignIn.SINGLETON).update(fingerprint=fingerprint, **values)


def _unlock(owner: str) -> None:
    SignIn.objects.filter(pk=SignIn.SINGLETON, locked_by=owner).update(
        locked_by="", locked_until=None
    )


def _lock() -> str:
    """Return our mark when we are the one to sign in now, "" when another worker is."""
    SignIn.objects.get_or_create(pk=SignIn.SINGLETON)
    owner, now = uuid4().hex, database.now()
    is_free = Q(locked_until=None) | Q(locked_until__lt=now) | Q(locked_until__gt=now + 2 * _LOCK)
    won = SignIn.objects.filter(is_free, pk=SignIn.SINGLETON).update(
        locked_by=owner, locked_until=now + _LOCK
    )
    return owner if won else ""


def _raise_refusal(fingerprint: str) -> None:
    row = SignIn.objects.filter(pk=SignIn.SINGLETON, fingerprint=fingerprint).first()
    if row is None or row.refused_until is None or not _is_refusal_of_now(row.refused_until):
        return
    error_class = errors.all_codes()[row.refused_code]
    left = (row.refused_until - database.now()).total_seconds()
    error = error_class(
        f"{row.refused_message} Not tried again for {left / 60:.0f} minutes, or until restarted with other credentials."
    )
    if isinstance(error, FetchError):
        error.retry_after_s = left
    raise error


def _is_refusal_of_now(refused_until: datetime) -> bool:
    """Return whether sign-ins are refused now; not by a clock that has been put back since."""
    left = refused_until - database.now()
    return timedelta() < left <= REFUSED_COOL_DOWN


# --- the kept token ----------------------------------------------------------------------


def _keep(token: AuthToken, fingerprint: str) -> None:
    now = time.time()
    # One that ends sooner than that is used for half its life, not renewed for every fetch.
    renew_at = max(token.expires_at - MARGIN_S, (now + token.expires_at) / 2)
    if renew_at <= now:
        return
    document = orjson.dumps([fingerprint, token.value, renew_at])
    cache.set(_CACHE_KEY, _cipher().encrypt(document).decode(), timeout=renew_at - now)


def _kept_token(fingerprint: str, refused: str = "") -> str:
    """Return the token that is kept for these credentials; "" without one, or for the refused one."""
    sealed = cache.get(_CACHE_KEY)
    if sealed is None:
        return ""
    try:
        owner, value, renew_at = orjson.loads(_cipher().decrypt(sealed))
    except (InvalidToken, ValueError):
        # Kept under another SECRET_KEY.
        return ""
    is_good = owner == fingerprint and value != refused and renew_at > time.time()
    return str(value) if is_good else ""


def _cipher() -> Fernet:
    digest = hashlib.sha256(b"tradingview-token" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def _fingerprint(wanted: Credentials) -> str:
    parts = [wanted.username, wanted.password, wanted.session, wanted.session_sign, wanted.user_id]
    return hmac.new(settings.SECRET_KEY.encode(), orjson.dumps(parts), hashlib.sha256).hexdigest()
