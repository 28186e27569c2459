"""The admin pages of calendars."""

from __future__ import annotations

from django.contrib import admin

from datasets.admin.read_only_admin import IndexedValuesFilter, ReadOnlyAdmin
from datasets.models import CalendarVersion


@admin.register(CalendarVersion)
class CalendarVersionAdmin(ReadOnlyAdmin):
    """Lists the calendars that feeds have sent, each content once."""

    list_display = ("feed", "subsession", "timezone", "hours", "first_seen_at")
    list_filter = (("source", IndexedValuesFilter),)
    search_fields = ("feed",)
