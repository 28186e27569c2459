"""The table of gap reports: one row for each dataset that has one."""

from __future__ import annotations

from django.db import models

from datasets.models.dataset import Dataset


class DatasetGaps(models.Model):
    """The gap report of a dataset's bars, with its findings.

    It is a table of its own, because a long list of findings would slow every read of the catalog.
    """

    dataset = models.OneToOneField(
        Dataset, on_delete=models.CASCADE, related_name="gaps", help_text="The dataset."
    )
    report = models.JSONField(help_text="Counts and findings, as the API gives them.")
    looked_at = models.DateTimeField(help_text="When the bars were fetched, UTC.")

    class Meta:
        verbose_name_plural = "gap reports"

    def __str__(self) -> str:
        return f"gaps of {self.dataset}"
