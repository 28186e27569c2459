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
        max_length=64, blank=True, help_text="Fingerprint of the credentials that were used last."
    )
    locked_by = models.CharField(
        max_length=32, blank=True, help_text="The attempt that holds the lock."
    )
    locked_until = models.DateTimeField(
        null=True, help_text="After this instant the attempt counts as dead, UTC."
    )
    signed_in_at = models.DateTimeField(null=True, help_text="The last successful sign-in, UTC.")
    refused_code = models.CharField(
        max_length=32, blank=True, help_text="Code of TradingView's refusal; see docs/api.md."
    )
    refused_message = models.TextField(blank=True, help_text="The refusal in a sentence.")
    refused_until = models.DateTimeField(
        null=True, help_text="No sign-in with these credentials before this instant, UTC."
    )

    def __str__(self) -> str:
        return "sign-in"
