"""The table of price alerts: one row for each price at which somebody wants a message."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from datasets.models.series import Series

MOST_NOTE = 200


class PriceAlert(models.Model):
    """A condition on the prices of a series, and the bar that met it last."""

    class Condition(models.TextChoices):
        """Where the price of a bar has to be."""

        ABOVE = "above", "above the price"
        BELOW = "below", "below the price"
        CROSSES = "crosses", "crosses the price"

    class Bars(models.TextChoices):
        """The bars that can meet the condition."""

        CLOSED = "closed", "closed bars, by their close"
        FORMING = "forming", "the forming bar too, by every price of it"

    class State(models.TextChoices):
        """Whether new bars are checked."""

        ACTIVE = "active"
        TRIGGERED = "triggered"
        PAUSED = "paused"

    series = models.ForeignKey(
        Series, on_delete=models.CASCADE, related_name="alerts", help_text="The series of the bars."
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="price_alerts",
        help_text="Its owner; empty for an alert that was made without sign-in.",
    )
    condition = models.CharField(
        max_length=8, choices=Condition.choices, help_text="Where the price of a bar has to be."
    )
    price = models.FloatField(help_text="The price, in the currency of the bars.")
    bars = models.CharField(
        max_length=8,
        choices=Bars.choices,
        default=Bars.CLOSED,
        help_text="The bars that can meet the condition.",
    )
    repeats = models.BooleanField(
        default=False, help_text="Yes: every bar can trigger it. No: the first one ends it."
    )
    note = models.CharField(
        max_length=MOST_NOTE, blank=True, help_text="A text of the owner, sent with the message."
    )
    state = models.CharField(
        max_length=9,
        choices=State.choices,
        default=State.ACTIVE,
        help_text="Whether it is checked.",
    )
    pause_reason = models.TextField(
        blank=True, help_text="Why the service paused it, in a sentence; empty otherwise."
    )
    created_at = models.DateTimeField(default=timezone.now, help_text="UTC.")
    armed_at = models.DateTimeField(
        default=timezone.now, help_text="Only bars that close after this instant count, UTC."
    )
    reference_price = models.FloatField(
        null=True, help_text="The newest known price when it was armed."
    )
    generation = models.PositiveIntegerField(
        default=1, help_text="The basis of the series' prices when it was armed."
    )
    checked_sequence = models.PositiveBigIntegerField(
        default=0, help_text="Write of the archive through which its closed bars are checked."
    )
    checked_through = models.DateTimeField(
        null=True, help_text="Opening of the newest closed bar that is checked, UTC."
    )
    triggered_at = models.DateTimeField(
        null=True, help_text="When a bar met the condition last, UTC."
    )
    triggered_bar = models.DateTimeField(null=True, help_text="Opening of that bar, UTC.")
    triggered_price = models.FloatField(null=True, help_text="The price that met the condition.")

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = [
            # For the checks of new bars.
            models.Index(fields=["state", "series"], name="alert_state"),
            models.Index(fields=["-created_at", "-id"], name="alert_created"),
            models.Index(fields=["-triggered_at"], name="alert_triggered"),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.condition} {self.price!r}"
