"""The page of incidents: the open ones first, and for staff the delivery of their messages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import F, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from datasets.catalog import lists
from datasets.incidents import next_step
from datasets.models import Incident, IncidentMessage
from datasets.views import phrases

# Open incidents that the hint names.
_NAMED = 3


class IncidentsFilter(forms.Form):
    """The filters of the list of incidents; an empty filter selects all rows."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    state = forms.ChoiceField(
        required=False, choices=[("", "All"), ("open", "Open"), ("over", "Over")]
    )

    def rows(self) -> QuerySet[Incident]:
        """Return the incidents that match all filters; none when a filter has an invalid value."""
        rows = Incident.objects.all()
        if not self.is_valid():
            return rows.none()
        if state := self.cleaned_data["state"]:
            rows = rows.filter(closed_at__isnull=state == "open")
        for word in self.cleaned_data["q"].split():
            rows = rows.filter(subject__icontains=word) | rows.filter(error_code__icontains=word)
        return rows


@require_safe
def incidents(request: HttpRequest) -> HttpResponse:
    """Show the list of incidents: the open ones, then the others, newest first."""
    narrowed = IncidentsFilter(request.GET)
    page = lists.page_of(
        narrowed.rows(),
        order=[F("closed_at").desc(nulls_first=True), "-opened_at", "-pk"],
        number=lists.page_number(request.GET.get("page", "")),
        related=("schedule",),
    )
    if request.user.is_staff:
        prefetch_related_objects(page.rows, "messages")
    context = {
        "filter": narrowed,
        "state": request.GET.get("state", ""),
        "is_narrowed": any(request.GET.get(name) for name in narrowed.fields),
        "page": page,
        "rows": [_row(incident) for incident in page.rows],
        "n_open": Incident.objects.filter(closed_at=None).count(),
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
    }
    return render(request, "incidents.html", context)


def open_incidents() -> dict[str, Any]:
    """Return the number of open incidents, and the names of the first; for the hint on all pages."""
    found = Incident.objects.filter(closed_at=None)
    named = list(found.order_by("opened_at", "pk")[:_NAMED])
    number = len(named) if len(named) < _NAMED else found.count()
    return {"number": number, "named": [str(incident) for incident in named]}


def message_in_words(message: IncidentMessage) -> str:
    """Return the delivery of a message in a sentence."""
    what = f"{message.get_way_display()} about the {'end' if message.event == IncidentMessage.Event.CLOSED else 'beginning'}"
    if message.state == IncidentMessage.State.SENT:
        return f"{what}: sent at {message.sent_at:%Y-%m-%d %H:%M} UTC."
    tries = f"{message.attempts} {'attempt' if message.attempts == 1 else 'attempts'}"
    if message.state == IncidentMessage.State.GIVEN_UP:
        return f"{what}: given up after {tries}. {message.last_error}"
    if not message.attempts:
        return f"{what}: will be sent in some seconds."
    return (
        f"{what}: not sent after {tries}. {message.last_error} "
        f"The next attempt is at {message.next_attempt_at:%H:%M:%S} UTC."
    )


def _row(incident: Incident) -> dict[str, Any]:
    schedule = incident.schedule
    series = schedule.series_id if schedule else None
    end = incident.closed_at
    lasted = (end - incident.opened_at).total_seconds() if end else None
    return {
        "incident": incident,
        "kind": incident.get_kind_display().partition(":")[0],
        "address": reverse("series", args=[series]) if series else "",
        "step": next_step(incident),
        "lasted": phrases.span_in_words(lasted) if lasted is not None else "",
        "age": phrases.age_in_words(incident.opened_at),
        # A function, so that only the page for staff makes its query.
        "messages": lambda: [message_in_words(each) for each in incident.messages.all()],
    }
