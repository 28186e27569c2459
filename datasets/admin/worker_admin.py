"""The admin pages of workers."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from datasets.fetching import workers
from datasets.models import Worker


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists the workers and when each was last seen; only the workers write these rows."""

    list_display = ("name", "host", "source", "is_alive", "started_at", "seen_at")
    list_filter = ("source",)

    @admin.display(description="alive", boolean=True)
    def is_alive(self, worker: Worker) -> bool:
        return workers.alive().filter(pk=worker.pk).exists()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
