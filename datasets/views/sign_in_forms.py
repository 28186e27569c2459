"""The sign-in forms of the pages and of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from datasets.errors import Refused
from datasets.serving import clients, sign_in_attempts


class SignInForm(AuthenticationForm):
    """Django's form with the API's limit on failed sign-ins.

    A password beyond the limit is refused without a check.
    """

    def clean(self) -> dict[str, Any]:
        address = clients.address_of(self.request) if self.request else ""
        try:
            with sign_in_attempts.attempt(address):
                return super().clean()
        except Refused as error:
            raise ValidationError(str(error), code=error.code) from None


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The same form for the admin, which accepts staff only."""
