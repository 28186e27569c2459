"""Checking passwords: counted before they are looked at, a few at a time; and the sign-in forms."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from datasets.errors import Busy, Refused
from datasets.handover import about_to_wait
from datasets.serving import clients

# A hash takes most of a second of a processor. More at a time would be as long for each, and
# hold up the readers of bars.
_N_AT_A_TIME = 1
# Passwords of one process that may wait for that, and for how long.
_MOST_WAITING = 8
_PATIENCE_S = 3.0

_hashing = threading.BoundedSemaphore(_N_AT_A_TIME)
_places = threading.BoundedSemaphore(_N_AT_A_TIME + _MOST_WAITING)


@contextmanager
def attempt(address: str) -> Iterator[None]:
    """Count one failed sign-in of the address, and take it back when the block raises nothing.

    So the limit holds for those who try many passwords at the same time too. Raises
    `TooManyRequests` for one too many, and `Busy` where too many passwords are being checked.
    """
    clients.failed_sign_ins.count(address)
    with _turn_to_hash(address):
        yield
    clients.failed_sign_ins.take_back(address)


@contextmanager
def _turn_to_hash(address: str) -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise _busy(address)
    try:
        about_to_wait()
        if not _hashing.acquire(timeout=_PATIENCE_S):
            raise _busy(address)
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _places.release()


def _busy(address: str) -> Busy:
    # Its password was not looked at.
    clients.failed_sign_ins.take_back(address)
    return Busy("Too many passwords are being checked now; try again in a few seconds.")


class SignInForm(AuthenticationForm):
    """Counts passwords as the API does, and does not even look at one too many."""

    def clean(self) -> dict[str, Any]:
        address = clients.address_of(self.request) if self.request else ""
        try:
            with attempt(address):
                return super().clean()
        except Refused as error:
            raise ValidationError(str(error), code=error.code) from None


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The same for the admin, which lets in staff only."""
