"""The table of schedules: one row for each series of a watchlist."""

from __future__ import annotations

from django.db import models

from datasets.bars.series_keys import SERIES_FIELDS
from datasets.models.fetch import Fetch
from datasets.models.key_columns import KeyedModel
from datasets.models.series import Series


class Schedule(KeyedModel):
    """The next fetch of a watched series; series of several watchlists have one row.

    The row has the key itself: a series without bars has no archive, and so no row in `Series`.
    """

    series = models.OneToOneField(
        Series,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="schedule",
        help_text="The series; empty until its first bars are archived.",
    )
    settle_s = models.PositiveSmallIntegerField(
        default=0, help_text="Seconds between a bar's close, with the feed's delay, and its fetch."
    )
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the next fetch, UTC; empty for none."
    )
    fetch = models.ForeignKey(
        Fetch,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="schedules",
        help_text="The fetch that the schedule waits for; empty between two fetches.",
    )
    backfilled_at = models.DateTimeField(
        null=True, blank=True,
        help_text="When its whole first window was fetched, UTC; empty before.",
    )  # fmt: skip
    is_paused = models.BooleanField(
        "paused", default=False, help_text="A paused series is not fetched by the schedule."
    )
    pause_reason = models.TextField(blank=True, help_text="Why it is paused, in a sentence.")
    failures = models.PositiveSmallIntegerField(
        default=0, help_text="Fetches of the schedule that have failed since the last success."
    )
    last_ok_at = models.DateTimeField(
        null=True, blank=True, help_text="End of the last successful fetch of the schedule, UTC."
    )
    last_error = models.TextField(
        blank=True, help_text="Code and sentence of the last failure; empty after a success."
    )

    class Meta:
        ordering = ("source", "exchange", "symbol", "timeframe", "pk")
        constraints = [
            models.UniqueConstraint(fields=SERIES_FIELDS, name="one_schedule_a_series"),
        ]
        indexes = [
            # For the series that are due.
            models.Index(fields=["source", "is_paused", "due_at"], name="schedule_due"),
            # For the schedules of a watched symbol, and for the filter of the list.
            models.Index(fields=["exchange", "symbol", "id"], name="schedule_exchange"),
            # The orders of the list.
            models.Index(fields=["symbol", "exchange", "id"], name="schedule_symbol"),
            models.Index(fields=["due_at", "id"], name="schedule_due_at"),
        ]

    def __str__(self) -> str:
        return str(self.series_key)
