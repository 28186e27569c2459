"""The audit page: who changed what, and who requested which fetches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from datasets.catalog import lists
from datasets.models import AuditEntry, Fetch, rows_with_word
from datasets.serving.permissions import MAY_SEE_AUDIT, is_allowed

# Fetches that people, programs or the operator requested; schedules are on the page of fetches.
_ASKED_VIA = ("page", "api", "admin", "command")


class AuditFilter(forms.Form):
    """The filters of the audit; an empty filter selects all changes."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    show = forms.ChoiceField(
        required=False, choices=[("", "Changes"), ("fetches", "Requested fetches")]
    )
    # Not `action`: in scripts the form's own address would be hidden behind the field.
    change = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((a.value, a.label) for a in AuditEntry.Action)]
    )

    def shows_fetches(self) -> bool:
        """Return whether the rows are fetches."""
        return self.is_valid() and self.cleaned_data["show"] == "fetches"

    def rows(self) -> QuerySet[Any]:
        """Return the entries or fetches that match; none when a filter has an invalid value."""
        if not self.is_valid():
            return AuditEntry.objects.none()
        rows: QuerySet[Any]
        columns: tuple[str, ...]
        if self.shows_fetches():
            rows, columns = Fetch.objects.filter(requested_via__in=_ASKED_VIA), _FETCH_COLUMNS
        else:
            rows, columns = AuditEntry.objects.all(), _ENTRY_COLUMNS
            if action := self.cleaned_data["change"]:
                rows = rows.filter(action=action)
        for word in self.cleaned_data["q"].split():
            rows = rows_with_word(rows, word, columns)
        return rows

    def problems(self) -> list[str]:
        """Return a sentence for each filter with an invalid value."""
        return [f"{name}: {' '.join(map(str, texts))}" for name, texts in self.errors.items()]


_ENTRY_COLUMNS = ("actor", "kind", "subject", "detail")
_FETCH_COLUMNS = ("requested_by", "exchange", "symbol")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the page: a change, or the request of a fetch."""

    at: datetime
    actor: str
    via: str
    action: str
    subject: str
    detail: str

    @classmethod
    def of(cls, row: AuditEntry | Fetch) -> Self:
        """Return the line of an entry or of a fetch."""
        if isinstance(row, Fetch):
            return cls(
                row.requested_at, row.requested_by, row.requested_via, "requested",
                f"fetch {row}", row.state,
            )  # fmt: skip
        action = AuditEntry.Action(row.action).label.lower()
        subject = f"{row.kind} {row.subject}".strip()
        return cls(row.at, row.actor, row.via, action, subject, row.detail)


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Show the changes of people and programs, newest first; staff only."""
    if not is_allowed(request.user, MAY_SEE_AUDIT):
        raise PermissionDenied
    narrowed = AuditFilter(request.GET)
    order = "-requested_at" if narrowed.shows_fetches() else "-at"
    page = lists.page_of(
        narrowed.rows(),
        order=[order, "-pk"],
        number=lists.page_number(request.GET.get("page", "")),
    )
    context = {
        "filter": narrowed,
        "is_narrowed": any(request.GET.get(name) for name in narrowed.fields),
        "page": page,
        "rows": [AuditRow.of(row) for row in page.rows],
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
    }
    return render(request, "audit.html", context)
