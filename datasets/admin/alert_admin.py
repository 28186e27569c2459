"""The admin page of price alerts."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from datasets.admin.read_only_admin import ReadOnlyAdmin
from datasets.admin.recorded_admin import RecordedAdmin
from datasets.models import PriceAlert


@admin.register(PriceAlert)
class PriceAlertAdmin(RecordedAdmin, ReadOnlyAdmin):
    """Lists the alerts of all users; they can be deleted here."""

    list_display = (
        "created_at", "series", "condition", "price", "bars", "repeats", "state", "triggered_at", "user",
    )  # fmt: skip
    list_display_links = ("series",)
    list_filter = ("state", "bars", "condition")
    list_select_related = ("series", "user")
    sortable_by = ("created_at",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("datasets.delete_pricealert")
