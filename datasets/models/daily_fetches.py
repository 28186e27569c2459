"""The table of daily fetches: one row for each person who has begun a fetch."""

from __future__ import annotations

from django.db import models


class DailyFetches(models.Model):
    """The number of fetches that one person began on the last day on which the person began any.

    Kept only while `API_FETCHES_PER_DAY` sets a limit.
    """

    person = models.CharField(
        max_length=150, unique=True, help_text="A user, also by tokens, or a client's address."
    )
    day = models.DateField(help_text="The day, UTC.")
    number = models.PositiveIntegerField(default=0, help_text="Fetches begun on that day.")

    def __str__(self) -> str:
        return f"{self.person} {self.day}: {self.number}"
