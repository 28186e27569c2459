"""The admin pages of audit entries."""

from __future__ import annotations

from django.contrib import admin

from datasets.admin.read_only_admin import IndexedValuesFilter, ReadOnlyAdmin
from datasets.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Lists who changed what, newest first; nobody changes or deletes an entry here."""

    list_display = ("at", "actor", "via", "action", "kind", "subject", "detail")
    list_filter = ("action", ("kind", IndexedValuesFilter), ("via", IndexedValuesFilter))
    search_fields = ("actor", "subject", "detail")
    sortable_by = ("at",)
