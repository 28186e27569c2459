"""Base of the admin pages whose changes the audit records."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from datasets.models import AuditEntry


class RecordedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Model admin that writes an audit entry beside each entry of the admin's own log.

    The entry of a change names the fields that were changed, never their values.
    """

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._record(request, AuditEntry.Action.CREATED, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        entry = super().log_change(request, obj, message)
        self._record(request, AuditEntry.Action.CHANGED, obj, entry.get_change_message())
        return entry

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self._record(request, AuditEntry.Action.DELETED, obj)
        return super().log_deletions(request, queryset)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **named: Any
    ) -> HttpResponse | None:
        """Do the action in one transaction with its entries."""
        with transaction.atomic():
            return super().response_action(request, queryset, *args, **named)

    def _record(
        self, request: HttpRequest, action: AuditEntry.Action, obj: Model, detail: str = ""
    ) -> None:
        by = request.user.get_username()
        AuditEntry.record(action, obj, by=by, via="admin", detail=detail)
