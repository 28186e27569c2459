"""The table of workers: one row for each worker process."""

from __future__ import annotations

from django.db import models


class Worker(models.Model):
    """A worker process; `seen_at` shows whether the process is alive."""

    name = models.CharField(
        max_length=255, unique=True, help_text="Celery's name of the worker, and its process id."
    )
    host = models.CharField(max_length=255, help_text="The machine of the worker.")
    source = models.CharField(
        max_length=16, help_text="The source of the fetches that the worker takes."
    )
    started_at = models.DateTimeField(help_text="First update of this row, UTC.")
    seen_at = models.DateTimeField(help_text="Last update of this row by the worker, UTC.")

    class Meta:
        ordering = ("source", "name")

    def __str__(self) -> str:
        return self.name
