"""The table of workers: one row for each worker process."""

from __future__ import annotations

from django.db import models


class Worker(models.Model):
    """A worker process; `seen_at` shows whether the process is alive."""

    name = models.CharField(
        max_length=255, unique=True, help_text="Celery's name of it, and its process."
    )
    host = models.CharField(max_length=255, help_text="The machine it runs on.")
    source = models.CharField(max_length=16, help_text="The feed whose fetches it takes.")
    started_at = models.DateTimeField(help_text="When it was first seen, UTC.")
    seen_at = models.DateTimeField(help_text="When it last said that it lives, UTC.")

    class Meta:
        ordering = ("source", "name")

    def __str__(self) -> str:
        return self.name
