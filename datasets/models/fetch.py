"""The table of fetches: one row for each request to get a dataset from the feed."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from datasets.bars import KEY_FIELDS
from datasets.models.dataset import Dataset
from datasets.models.key_columns import KeyedModel
from datasets.models.series import Series


class Fetch(KeyedModel):
    """One request to get a dataset from the feed, with all attempts at it."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ACTIVE = (State.QUEUED, State.RUNNING)

    class Priority(models.IntegerChoices):
        """The order of the queue: a lower number begins first."""

        PERSON = 0, "person"
        API = 1, "API"
        SCHEDULE = 2, "schedule"
        BACKFILL = 3, "backfill"

    state = models.CharField(
        max_length=9,
        choices=State.choices,
        default=State.QUEUED,
        help_text="Present step of the fetch.",
    )
    dataset = models.ForeignKey(
        Dataset,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="fetches",
        help_text="The dataset that the fetch wrote.",
    )
    series = models.ForeignKey(
        Series,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="fetches",
        help_text="The series that its bars were merged into.",
    )
    error_code = models.CharField(
        "error", max_length=32, blank=True, help_text="Code of the error; see docs/api.md."
    )
    error_message = models.TextField(blank=True, help_text="The error in a sentence.")
    retryable = models.BooleanField(
        default=False, help_text="Whether the same request can succeed later."
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Number of attempts.")
    n_rows = models.PositiveIntegerField("bars", default=0, help_text="Bars received so far.")
    waited_ms = models.PositiveIntegerField(
        "waited, ms", default=0, help_text="Time of waiting for the throttle, ms."
    )
    fetched_ms = models.PositiveIntegerField(
        "fetched, ms", default=0, help_text="Time of the conversation with the feed, ms."
    )
    stored_ms = models.PositiveIntegerField(
        "stored, ms", default=0, help_text="Time of checking and writing, ms."
    )
    requested_by = models.CharField(
        max_length=150, blank=True, help_text="A user, or a client's address."
    )
    requested_via = models.CharField(
        max_length=16, help_text="api, page, admin, command, schedule or live."
    )
    request_id = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="Id of the request that opened the fetch, as in the logs.",
    )
    requested_at = models.DateTimeField(default=timezone.now, help_text="UTC.")
    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices,
        default=Priority.PERSON,
        help_text="Fetches with a lower number begin first.",
    )
    turn = models.PositiveIntegerField(
        default=0,
        help_text="Fetches with a lower turn begin first; each fetch of a client has its own turn.",
    )
    failures = models.PositiveSmallIntegerField(
        default=0,
        help_text="Attempts that ended with an error; attempts whose worker died do not count.",
    )
    next_attempt_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Earliest start of the next attempt after a retryable error, UTC.",
    )
    allowed_at = models.DateTimeField(
        null=True, blank=True,
        help_text="Expected end of the wait for the throttle, UTC; empty when the fetch does not wait.",
    )  # fmt: skip
    started_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the last attempt, UTC."
    )
    finished_at = models.DateTimeField(null=True, blank=True, help_text="UTC.")
    # The running attempt owns the row until this instant, and extends the lease while it runs.
    lease_until = models.DateTimeField(
        null=True, blank=True, help_text="After this instant the worker counts as dead, UTC."
    )
    owner = models.CharField(max_length=32, blank=True, help_text="Id of the running attempt.")

    class Meta:
        ordering = ("-requested_at", "-pk")
        verbose_name_plural = "fetches"
        constraints = [
            # Any number of callers for one key share one conversation with the feed.
            models.UniqueConstraint(
                fields=KEY_FIELDS,
                condition=models.Q(state__in=["queued", "running"]),
                name="one_active_fetch_a_key",
            ),
        ]
        indexes = [
            # For the next fetch, and for the number of a client's queued fetches. Without these
            # indexes both queries would slow down as the queue grows.
            models.Index(fields=["state", "priority", "turn", "id"], name="fetch_state_priority"),
            models.Index(fields=["state", "turn", "id"], name="fetch_state_turn"),
            models.Index(fields=["state", "requested_by", "turn"], name="fetch_state_client"),
            # The orders and the filters of the lists, the newest first. The id comes last, so that no two rows have the same place.
            models.Index(fields=["-requested_at", "-id"], name="fetch_requested"),
            models.Index(fields=["state", "-requested_at", "-id"], name="fetch_state"),
            models.Index(fields=["source", "-requested_at", "-id"], name="fetch_source"),
            models.Index(fields=["exchange", "-requested_at", "-id"], name="fetch_exchange"),
            models.Index(fields=["exchange", "id"], name="fetch_by_exchange"),
            models.Index(fields=["symbol", "exchange", "id"], name="fetch_symbol"),
            models.Index(fields=["error_code", "-requested_at", "-id"], name="fetch_error"),
            models.Index(fields=["requested_via", "-requested_at", "-id"], name="fetch_via"),
            # For the numbers of the last hour.
            models.Index(fields=["finished_at"], name="fetch_finished"),
        ]

    @property
    def is_finished(self) -> bool:
        """Whether the fetch has ended; an ended fetch does not change any more."""
        return self.state not in self.ACTIVE
