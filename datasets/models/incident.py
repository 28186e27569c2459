"""The tables of incidents: what does not work, and the messages that tell people and programs."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from datasets.models.alerts.price_alert import PriceAlert
from datasets.models.schedule import Schedule


class Incident(models.Model):
    """A failure that lasts: its series or its part of the service, its beginning and its end."""

    class Kind(models.TextChoices):
        """The kinds of incidents."""

        FAILING = "series_failing", "series failing: its fetches fail"
        BEHIND = "series_behind", "series behind: closed bars are not held"
        SIGN_IN = "sign_in", "sign-in: TradingView refuses the credentials"
        NO_WORKER = "no_worker", "no worker: fetches wait and no worker is alive"
        NO_LIVE = "no_live", "no live bars: series are watched and there is no connection"

    kind = models.CharField(max_length=16, choices=Kind.choices, help_text="What does not work.")
    source = models.CharField(max_length=16, help_text="The feed of the affected fetches.")
    topic = models.CharField(
        max_length=64, help_text="Identifies the cause; one incident of a cause is open at a time."
    )
    subject = models.CharField(max_length=250, help_text="The series, or the part of the service.")
    schedule = models.ForeignKey(
        Schedule,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="incidents",
        help_text="The schedule of the series; empty for a part of the service.",
    )
    opened_at = models.DateTimeField(default=timezone.now, help_text="UTC.")
    closed_at = models.DateTimeField(null=True, help_text="UTC; empty while the incident lasts.")
    failures = models.PositiveIntegerField(default=0, help_text="Failed fetches in a row.")
    lag_bars = models.PositiveIntegerField(
        "bars behind", null=True, help_text="Closed bars that are not held; empty where unknown."
    )
    error_code = models.CharField(
        "error", max_length=32, blank=True, help_text="Code of the last error; see docs/api.md."
    )
    error_message = models.TextField(blank=True, help_text="The last error in a sentence.")

    class Meta:
        ordering = ("-opened_at", "-pk")
        constraints = [
            # Any number of workers notice the same failure, and one of them opens the incident.
            models.UniqueConstraint(
                fields=("source", "topic"),
                condition=models.Q(closed_at=None),
                name="one_open_incident_a_topic",
            ),
        ]
        indexes = [
            models.Index(fields=["closed_at", "-opened_at"], name="incident_open"),
            models.Index(fields=["-opened_at", "-id"], name="incident_opened"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display().partition(':')[0]}: {self.subject}"

    @property
    def is_open(self) -> bool:
        """Whether the incident lasts."""
        return self.closed_at is None


class IncidentMessage(models.Model):
    """A message about incidents that began or ended together, or about an alert; the row is the queue of its sending."""

    class Event(models.TextChoices):
        """The occasions of a message."""

        OPENED = "opened"
        CLOSED = "closed"
        # Of a price alert.
        TRIGGERED = "triggered"

    class Way(models.TextChoices):
        """The ways of a message."""

        WEBHOOK = "webhook"
        MAIL = "mail"

    class State(models.TextChoices):
        """Whether the message was accepted by its receiver."""

        WAITING = "waiting"
        SENT = "sent"
        GIVEN_UP = "given_up", "given up"

    incidents = models.ManyToManyField(
        Incident, related_name="messages", help_text="The incidents that began or ended."
    )
    alert = models.ForeignKey(
        PriceAlert,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="messages",
        help_text="The price alert that triggered; empty for incidents.",
    )
    content = models.JSONField(
        default=dict, blank=True, help_text="The alert as it was when it triggered."
    )
    event = models.CharField(
        max_length=9, choices=Event.choices, help_text="Begin or end, or the trigger of an alert."
    )
    way = models.CharField(max_length=8, choices=Way.choices, help_text="How it is sent.")
    state = models.CharField(
        max_length=8, choices=State.choices, default=State.WAITING, help_text="Its delivery."
    )
    created_at = models.DateTimeField(default=timezone.now, help_text="UTC.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Number of attempts.")
    next_attempt_at = models.DateTimeField(
        default=timezone.now, help_text="Earliest start of the next attempt, UTC."
    )
    last_error = models.TextField(blank=True, help_text="Why the last attempt failed.")
    sent_at = models.DateTimeField(null=True, help_text="UTC.")

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="message_due"),
            models.Index(fields=["-created_at", "-id"], name="message_created"),
        ]

    def __str__(self) -> str:
        return f"{self.way} {self.event} {self.created_at:%Y-%m-%d %H:%M}"
