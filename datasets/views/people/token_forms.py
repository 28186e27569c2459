"""The form in which a user creates a token of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from datasets.models import ApiToken, AuditEntry
from datasets.serving.permissions import Scope, may_hand_out

# Enough for every program of one person; a limit keeps the list short.
MAX_TOKENS = 50
_EXPIRIES = {"7": "in 7 days", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}


class OwnTokenForm(forms.Form):
    """Name, scope and expiry of a new token; the scope is at most the user's own."""

    name = forms.CharField(max_length=60, help_text="The program or the machine that uses it.")
    scope = forms.ChoiceField()
    expires = forms.ChoiceField(choices=list(_EXPIRIES.items()), initial="90")

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self._user = user
        scopes = [scope for scope in Scope if may_hand_out(user, scope)]
        self.fields["scope"].choices = [(scope.value, scope.label) for scope in scopes]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        if ApiToken.objects.filter(user=self._user).count() >= MAX_TOKENS:
            raise forms.ValidationError(
                f"You have {MAX_TOKENS} tokens, the most for one person. Revoke one first."
            )
        return dict(self.cleaned_data)

    def expires_at(self) -> datetime:
        """Return the chosen expiry of a valid form."""
        return timezone.now() + timedelta(days=int(self.cleaned_data["expires"]))


def create_token(form: OwnTokenForm, user: User) -> tuple[ApiToken, str]:
    """Create the token of a valid form; return it, and its secret, which is not stored."""
    token = ApiToken(
        name=form.cleaned_data["name"],
        user=user,
        scope=form.cleaned_data["scope"],
        expires_at=form.expires_at(),
    )
    secret = token.renew()
    with transaction.atomic():
        token.save()
        AuditEntry.record(
            AuditEntry.Action.CREATED, token, by=user.get_username(), via="page",
            detail=f"Scope {token.scope}, until {token.expires_at:%Y-%m-%d %H:%M} UTC.",
        )  # fmt: skip
    return token, secret


def revoke_token(token: ApiToken, user: User) -> None:
    """Delete the token, which stops working with the next request."""
    with transaction.atomic():
        AuditEntry.record(AuditEntry.Action.DELETED, token, by=user.get_username(), via="page")
        token.delete()
