"""The admin pages of incidents, of price alerts, and of the messages about both."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from datasets.admin.read_only_admin import ReadOnlyAdmin
from datasets.admin.recorded_admin import RecordedAdmin
from datasets.incidents import next_step
from datasets.models import AuditEntry, Incident, IncidentMessage, PriceAlert, database


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """Lists incidents, newest first; the workers open and close them."""

    list_display = (
        "opened_at",
        "kind",
        "subject",
        "closed_at",
        "failures",
        "lag_bars",
        "error_code",
    )
    list_display_links = ("subject",)
    list_filter = (("closed_at", admin.EmptyFieldListFilter), "kind", "source", "error_code")
    search_fields = ("subject", "error_code")
    sortable_by = ("opened_at",)
    exclude = ("topic",)
    readonly_fields = ("advice",)

    @admin.display(description="what to do")
    def advice(self, incident: Incident) -> str:
        return next_step(incident)


@admin.register(IncidentMessage)
class IncidentMessageAdmin(ReadOnlyAdmin):
    """Lists messages about incidents with their delivery; one that was given up can be sent again."""

    list_display = (
        "created_at", "way", "event", "state", "attempts", "next_attempt_at", "sent_at", "last_error",
    )  # fmt: skip
    list_filter = ("state", "way", "event")
    sortable_by = ("created_at",)
    actions = ("send_again",)

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("datasets.change_incidentmessage")

    @admin.action(description="Send again: messages not sent yet", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[IncidentMessage]) -> None:
        now = database.now()
        waiting = IncidentMessage.State.WAITING
        values = {"state": waiting, "created_at": now, "next_attempt_at": now}
        by = request.user.get_username()
        chosen = list(queryset.exclude(state=IncidentMessage.State.SENT))
        with transaction.atomic():
            queryset.filter(pk__in=[each.pk for each in chosen]).update(**values)
            for each in chosen:
                AuditEntry.record(AuditEntry.Action.RESUMED, each, by=by, via="admin")
        messages.success(request, f"{len(chosen)} to be sent within some seconds.")


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
