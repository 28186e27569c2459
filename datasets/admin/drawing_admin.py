"""The admin pages of drawings."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from datasets.admin.recorded_admin import RecordedAdmin
from datasets.models import SymbolDrawings


@admin.register(SymbolDrawings)
class SymbolDrawingsAdmin(RecordedAdmin):
    """Lists the drawings that the service keeps for users; they can be deleted here."""

    list_display = ("symbol", "user", "n_drawings", "version", "updated_at")
    search_fields = ("symbol", "user__username")
    list_select_related = ("user",)
    fields = (("symbol", "user"), ("version", "updated_at"), "drawings")

    @admin.display(description="drawings")
    def n_drawings(self, kept: SymbolDrawings) -> int:
        return len(kept.drawings)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: SymbolDrawings | None = None
    ) -> bool:
        return False
