"""The tables of live bars: one row for each watched series, and one for the connection of a source."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from datasets.models.series import Series


class LiveSeries(models.Model):
    """A series that clients watch, and its newest bars as the live connection received them."""

    # A page that shows the series asks every few seconds, and a busy browser may miss some of these.
    WATCHED_FOR = timedelta(seconds=90)

    series = models.OneToOneField(
        Series, on_delete=models.CASCADE, related_name="live", help_text="The watched series."
    )
    asked_at = models.DateTimeField(
        db_index=True, help_text="Last request for its live bars, UTC, noted at most every 20 s."
    )
    watched_since = models.DateTimeField(
        null=True, help_text="First request of the present watch, UTC."
    )
    connection = models.CharField(
        max_length=32, blank=True, help_text="Id of the connection that receives its updates."
    )
    version = models.PositiveBigIntegerField(
        default=0, help_text="Number of changes of the columns below."
    )
    bars = models.JSONField(
        default=list,
        help_text="Newest bars, oldest first: opening in UNIX seconds, open, high, low, close, volume or null.",
    )
    close_time = models.DateTimeField(
        null=True, help_text="End of the newest bar plus the feed's delay, UTC."
    )
    delay_s = models.PositiveIntegerField(
        default=0, help_text="Delay of the feed behind the exchange in seconds."
    )
    heard_at = models.DateTimeField(null=True, help_text="Last change of the bars, UTC.")
    error_code = models.CharField(
        max_length=32, blank=True, help_text="Code of the feed's refusal; see docs/api.md."
    )
    error_message = models.TextField(blank=True, help_text="The refusal in a sentence.")

    class Meta:
        verbose_name_plural = "live series"

    def __str__(self) -> str:
        return f"live bars of series {self.series_id}"


class LiveConnection(models.Model):
    """The one connection of all hosts that receives live updates of a source."""

    source = models.CharField(max_length=16, unique=True, help_text="Feed of the connection.")
    owner = models.CharField(
        max_length=32, blank=True, help_text="Id of the process that holds the lease."
    )
    host = models.CharField(max_length=255, blank=True, help_text="The machine of that process.")
    lease_until = models.DateTimeField(
        null=True, help_text="After this instant the process counts as dead, UTC."
    )
    connected_at = models.DateTimeField(
        null=True, help_text="When the connection was opened, UTC; empty while there is none."
    )
    held_since = models.DateTimeField(null=True, help_text="When the process took the lease, UTC.")
    lost_at = models.DateTimeField(null=True, help_text="When the last connection ended, UTC.")
    n_opened = models.PositiveBigIntegerField(
        "connections", default=0, help_text="Connections that were opened so far."
    )
    failed_at = models.DateTimeField(null=True, help_text="When an attempt failed last, UTC.")
    failure = models.TextField(
        blank=True, help_text="Code and sentence of that failure; kept while connected."
    )
    error_code = models.CharField(
        max_length=32, blank=True, help_text="Code of the last failure; empty while connected."
    )
    error_message = models.TextField(blank=True, help_text="The failure in a sentence.")

    def __str__(self) -> str:
        return f"live connection of {self.source}"

    def is_held(self, now: datetime) -> bool:
        """Return whether a living process holds the lease."""
        return self.lease_until is not None and self.lease_until > now

    def is_connected(self, now: datetime) -> bool:
        """Return whether a living process has an open connection."""
        return self.is_held(now) and self.connected_at is not None
