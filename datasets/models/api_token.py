"""The table of API tokens: one row for each token, with a hash of its secret."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from datasets.models import database

# `last_used_at` is updated at most once in this period.
NOTED_FOR = timedelta(hours=1)


def in_ninety_days() -> datetime:
    """Return the default expiry of a new token."""
    return timezone.now() + timedelta(days=90)


class ApiToken(models.Model):
    """A program's permission to use the API in a user's name, up to a scope and until an instant.

    Only a hash of the secret is kept. SHA-256 is enough: the secret has 256 random bits, which
    cannot be guessed. A slow password hash protects weak secrets only.
    """

    class Scope(models.TextChoices):
        """Scopes in rising order; each scope includes those before it."""

        READ = "read", "read: stored datasets"
        FETCH = "fetch", "fetch: read, and fetch missing or stale datasets"
        MANAGE = "manage", "manage: fetch, and invalidate or refresh datasets"

    _START = "tv_"
    _SHOWN = 9

    name = models.CharField(
        max_length=60, help_text="The program or the machine that uses the token."
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        help_text="The token has at most this user's permissions, and stops working when the account is turned off.",
    )
    scope = models.CharField(
        max_length=6,
        choices=Scope.choices,
        default=Scope.READ,
        help_text="The requests that the token permits.",
    )
    prefix = models.CharField(
        "begins with",
        max_length=12,
        editable=False,
        help_text="The beginning of the token, by which people recognise it.",
    )
    secret_hash = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the secret."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, help_text="UTC.")
    expires_at = models.DateTimeField(
        default=in_ninety_days, help_text="The token stops working at this instant, UTC."
    )
    last_used_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Last use, to the hour, UTC; empty for an unused token.",
    )

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def renew(self) -> str:
        """Give the unsaved token a new secret, and return the secret.

        Only the hash is kept: the secret cannot be read again.
        """
        secret = self._START + secrets.token_urlsafe(32)
        self.prefix = secret[: self._SHOWN]
        self.secret_hash = hash_secret(secret)
        return secret

    @classmethod
    def find(cls, secret: str) -> ApiToken | None:
        """Return the token with this secret and its user, also when expired; None if there is none."""
        return cls.objects.select_related("user").filter(secret_hash=hash_secret(secret)).first()

    @property
    def is_expired(self) -> bool:
        """Whether the token has expired."""
        return self.expires_at <= database.shared_now()

    @property
    def is_use_noted(self) -> bool:
        """Whether `last_used_at` is recent enough to stay as it is."""
        return (
            self.last_used_at is not None and database.shared_now() - self.last_used_at <= NOTED_FOR
        )

    def note_use(self) -> None:
        """Set `last_used_at` to now."""
        now = database.shared_now()
        type(self).objects.filter(pk=self.pk).update(last_used_at=now)
        self.last_used_at = now


def hash_secret(secret: str) -> str:
    """Return the hash of a token's secret, as kept in the table."""
    return hashlib.sha256(secret.encode()).hexdigest()
