"""The table of saved layouts: charts that a user opens again by a name."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class SavedLayout(models.Model):
    """One, two or four charts of one user, under a name."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="layouts",
        help_text="Its owner; nobody else can read it through pages and API.",
    )
    name = models.CharField(max_length=100, help_text="Unique among the layouts of the user.")
    charts = models.JSONField(
        default=list,
        help_text="The query of the chart page's address for each of its 1, 2 or 4 charts; empty for an empty chart.",
    )
    same_symbol = models.BooleanField(
        default=False, help_text="Whether a symbol chosen in one chart is shown in all."
    )
    same_timeframe = models.BooleanField(
        default=False, help_text="Whether a timeframe chosen in one chart is shown in all."
    )
    saved_at = models.DateTimeField(default=timezone.now, help_text="UTC.")

    class Meta:
        ordering = ("name", "pk")
        constraints = [
            models.UniqueConstraint(fields=("user", "name"), name="one_layout_a_name"),
        ]

    def __str__(self) -> str:
        return self.name
