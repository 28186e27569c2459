"""The catalog in Django's admin: look, invalidate, fetch again. Nothing is edited by hand."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince

from datasets import serving
from datasets.errors import DatasetsError
from datasets.models import Dataset, Fetch

admin.site.site_header = "TradingView datasets"
admin.site.site_title = "TradingView datasets"
admin.site.index_title = "Catalog"


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows are written by the service alone."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in self.model._meta.fields]


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    """Every file, what is in it, and whether it is served."""

    list_display = (
        "exchange",
        "symbol",
        "timeframe",
        "n_rows",
        "first_time",
        "last_time",
        "age",
        "bytes",
        "state",
        "source",
    )
    list_display_links = ("symbol",)
    list_filter = ("state", "source", "timeframe", "exchange")
    search_fields = ("symbol", "exchange", "path", "content_hash")
    actions = ("fetch_again", "invalidate")

    @admin.display(description="age", ordering="-fetched_at")
    def age(self, dataset: Dataset) -> str:
        return timesince(dataset.fetched_at, timezone.now(), depth=1)

    @admin.action(description="Fetch again", permissions=["change"])
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        n_queued = 0
        try:
            for dataset in queryset:
                serving.request_fetch(dataset.key, via="admin", by=request.user.get_username())
                self.log_change(request, dataset, "Fetch again.")
                n_queued += 1
        except DatasetsError as error:
            messages.error(request, str(error))
        messages.success(request, f"{n_queued} fetches queued.")

    @admin.action(description="Invalidate", permissions=["change"])
    def invalidate(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        for dataset in queryset:
            serving.invalidate(dataset)
            self.log_change(request, dataset, "Invalidated.")
        messages.success(
            request, f"{len(queryset)} datasets invalidated; they are fetched again when asked for."
        )


@admin.register(Fetch)
class FetchAdmin(ReadOnlyAdmin):
    """Every attempt to get a dataset, and what came of it."""

    list_display = (
        "requested_at",
        "exchange",
        "symbol",
        "timeframe",
        "n_bars",
        "state",
        "error_code",
        "attempts",
        "n_rows",
        "waited_ms",
        "fetched_ms",
        "stored_ms",
        "requested_via",
    )
    list_display_links = ("symbol",)
    list_filter = ("state", "error_code", "requested_via", "source", "timeframe")
    search_fields = ("symbol", "exchange")
