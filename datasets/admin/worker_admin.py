"""The admin pages of workers, and of the live connection with the series that clients watch."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from datasets.admin.read_only_admin import ReadOnlyAdmin
from datasets.fetching import workers
from datasets.models import LiveConnection, LiveSeries, Worker, database


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


@admin.register(LiveConnection)
class LiveConnectionAdmin(ReadOnlyAdmin):
    """Shows the connection of each source; only the process that holds it writes the row."""

    list_display = ("source", "host", "is_held", "connected_at", "n_opened", "failed_at", "failure")

    @admin.display(description="held", boolean=True)
    def is_held(self, connection: LiveConnection) -> bool:
        return connection.is_held(database.shared_now())


@admin.register(LiveSeries)
class LiveSeriesAdmin(ReadOnlyAdmin):
    """Lists the series that clients watch or have watched within a day."""

    list_display = ("series", "asked_at", "heard_at", "delay_s", "error_code")
    list_filter = ("error_code",)
    ordering = ("-asked_at", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LiveSeries]:
        rows: QuerySet[LiveSeries] = super().get_queryset(request)
        return rows.select_related("series")
