"""The admin pages of saved layouts."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from datasets import layouts
from datasets.admin.recorded_admin import RecordedAdmin
from datasets.models import SavedLayout


@admin.register(SavedLayout)
class SavedLayoutAdmin(RecordedAdmin):
    """Lists the layouts that users have saved; they can be opened and deleted here."""

    list_display = ("name", "user", "n_charts", "saved_at")
    search_fields = ("name", "user__username")
    list_select_related = ("user",)
    fields = (("name", "user"), "page", ("same_symbol", "same_timeframe", "saved_at"))
    readonly_fields = ("page",)

    @admin.display(description="charts")
    def n_charts(self, layout: SavedLayout) -> int:
        return len(layout.charts)

    @admin.display(description="page")
    def page(self, layout: SavedLayout) -> SafeString:
        address = layouts.page_address(layout)
        return format_html('<a href="{}">{}</a>', address, address)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SavedLayout | None = None) -> bool:
        return False
