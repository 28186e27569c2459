"""The table of the sign-in to TradingView: one row that all workers share."""

from __future__ import annotations

from django.db import models


class SignIn(models.Model):
    """The state of the sign-in to TradingView, in one row that all workers share.

    The row is the lock of the worker that signs in, and keeps the last refusal. The auth token
    is in the cache, encrypted.
    """

    SINGLETON = 1

    # Shows that the credentials have changed; the credentials cannot be computed from it.
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text="Of the credentials that were used last."
    )
    locked_by = models.CharField(
        max_length=32, blank=True, help_text="The attempt that is signing in now."
    )
    locked_until = models.DateTimeField(
        null=True, help_text="That attempt is taken for dead after this, UTC."
    )
    signed_in_at = models.DateTimeField(null=True, help_text="The last success, UTC.")
    refused_code = models.CharField(
        max_length=32, blank=True, help_text="Why TradingView refused; see docs/api.md."
    )
    refused_message = models.TextField(blank=True, help_text="The same in a sentence.")
    refused_until = models.DateTimeField(null=True, help_text="Not tried again before this, UTC.")

    def __str__(self) -> str:
        return "sign-in"
