"""The admin pages of fetches."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from datasets import serving
from datasets.admin.read_only_admin import IndexedValuesFilter, ReadOnlyAdmin
from datasets.errors import DatasetsError
from datasets.fetching import interventions
from datasets.models import Fetch
from datasets.serving.permissions import MAY_FETCH_AGAIN, is_allowed


@admin.register(Fetch)
class FetchAdmin(ReadOnlyAdmin):
    """Lists fetches with their outcomes; failed ones are requested again, queued ones cancelled."""

    list_display = (
        "requested_at", "exchange", "symbol", "timeframe", "n_bars", "state", "priority", "error_code", "attempts",
        "n_rows", "waited_ms", "fetched_ms", "stored_ms", "requested_via", "requested_by",
    )  # fmt: skip
    list_display_links = ("symbol",)
    sortable_by = ("requested_at", "exchange", "symbol")
    list_filter = (
        "state",
        "priority",
        ("error_code", IndexedValuesFilter),
        ("requested_via", IndexedValuesFilter),
        ("source", IndexedValuesFilter),
        "timeframe",
    )
    search_fields = ("symbol", "exchange", "requested_by")
    actions = ("ask_again", "cancel")
    exclude = ("owner", "lease_until", "turn", "failures")

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        return is_allowed(request.user, MAY_FETCH_AGAIN)

    @admin.action(description="Fetch again: failed and cancelled fetches", permissions=["fetch"])
    def ask_again(self, request: HttpRequest, queryset: QuerySet[Fetch]) -> None:
        ended = queryset.filter(state__in=[Fetch.State.FAILED, Fetch.State.CANCELLED])
        asked = []
        for fetch in ended:
            try:
                new = serving.request_fetch(fetch.key, via="admin", by=request.user.get_username())
            except DatasetsError as error:
                messages.error(request, f"{fetch}: {error}")
            else:
                asked.append(new)
                self.log_change(request, fetch, f"Requested again: fetch {new.pk}.")
        messages.success(request, f"{_fetches(len(asked))} requested again.")

    @admin.action(description="Cancel queued fetches", permissions=["fetch"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Fetch]) -> None:
        by = request.user.get_username()
        cancelled = [fetch for fetch in queryset if interventions.cancel(fetch, by=by, via="admin")]
        for fetch in cancelled:
            self.log_change(request, fetch, "Cancelled.")
        messages.success(request, f"{_fetches(len(cancelled))} cancelled.")


def _fetches(number: int) -> str:
    return f"{number} {'fetch' if number == 1 else 'fetches'}"
