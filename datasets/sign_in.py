"""The sign-in forms of the pages and of the admin: a client that fails too often has to wait."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from datasets import callers
from datasets.errors import TooManyRequests


class SignInForm(AuthenticationForm):
    """Counts wrong passwords as the API does, and does not even look at one too many."""

    def clean(self) -> dict[str, Any]:
        address = callers.address_of(self.request) if self.request else ""
        try:
            callers.failed_sign_ins.require_some_left(address)
            return super().clean()
        except TooManyRequests as error:
            raise ValidationError(str(error), code="too_many_requests") from None
        except ValidationError:
            callers.failed_sign_ins.note(address)
            raise


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The same for the admin, which lets in staff only."""
