"""The table of calendars: one row for each content that a feed has sent."""

from __future__ import annotations

from django.db import models


class CalendarVersion(models.Model):
    """The trading hours, holidays and corrections of one feed, as they were first seen at an instant.

    The feed cuts the history of its lists, so that an older version can hold days that a newer
    one has lost.
    """

    source = models.CharField(
        max_length=16, help_text="Feed: tradingview, or sample for synthetic bars."
    )
    feed = models.CharField(
        max_length=200, help_text="The name of the feed that answered: BATS:AAPL for NASDAQ:AAPL."
    )
    subsession = models.CharField(max_length=64, blank=True, help_text="Such as regular.")
    content_hash = models.CharField(max_length=64, help_text="SHA-256 over the texts below.")
    first_seen_at = models.DateTimeField(
        help_text="When the first fetch with this content answered, UTC."
    )
    timezone = models.CharField(max_length=200, blank=True, help_text="The exchange's time zone.")
    hours = models.TextField(blank=True, help_text="The session string.")
    display = models.TextField(blank=True, help_text="The session string that is shown to people.")
    holidays = models.TextField(blank=True, help_text="Days without trade, YYYYMMDD.")
    corrections = models.TextField(blank=True, help_text="Days with other hours, and days off.")

    class Meta:
        ordering = ("source", "feed", "-first_seen_at")
        constraints = [
            models.UniqueConstraint(
                fields=("source", "feed", "subsession", "content_hash"),
                name="one_row_a_calendar_content",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feed} {self.subsession} since {self.first_seen_at:%Y-%m-%d}".strip()
