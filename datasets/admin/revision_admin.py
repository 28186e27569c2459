"""The admin pages of revisions: what changed, and the actions that decide it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from datasets.admin.read_only_admin import IndexedValuesFilter, ReadOnlyAdmin
from datasets.catalog import lists
from datasets.models import Revision, Series
from datasets.views import phrases
from datasets.views.series import revision_actions


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    """Lists revisions with their findings and states; the actions are those of the pages."""

    list_display = (
        "found_at", "symbol", "finding", "state", "n_bars", "first_time", "last_time", "factor", "largest_change", "decided_by",
    )  # fmt: skip
    list_display_links = ("found_at", "symbol")
    sortable_by = ("found_at",)
    list_filter = ("state", "finding", ("series__source", IndexedValuesFilter), "series__timeframe")
    search_fields = ("series__symbol", "series__exchange")
    search_help_text = "Symbol or exchange"
    list_select_related = ("series",)
    fieldsets = [
        (None, {"fields": ["explanation"]}),
        ("Finding", {"fields": [("series_link", "number"), ("finding", "generation"), "n_bars", ("first_time", "last_time")]}),
        ("Change", {"fields": [("factor", "offset", "is_split"), "largest_change"]}),
        ("Origin", {"fields": ["found_at", "fetch_link"]}),
        ("Decision", {"fields": ["state", ("decided_at", "decided_by")]}),
    ]  # fmt: skip
    readonly_fields = ("explanation", "series_link", "fetch_link")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search the series, which have an index for it."""
        series = lists.search(Series.objects.order_by(), search_term, ("symbol", "exchange"))
        return queryset.filter(series__in=series) if search_term else queryset, False

    @admin.display(description="series")
    def symbol(self, revision: Revision) -> str:
        return str(revision.series)

    @admin.display(description="in words")
    def explanation(self, revision: Revision) -> str:
        outcome = phrases.revision_in_words(revision, with_names=True)
        return f"{outcome.sentence} {outcome.step}"

    @admin.display(description="series")
    def series_link(self, revision: Revision) -> SafeString:
        address = reverse("admin:datasets_series_change", args=[revision.series_id])
        return format_html('<a href="{}">{}</a>', address, revision.series)

    @admin.display(description="fetch")
    def fetch_link(self, revision: Revision) -> SafeString:
        if revision.fetch_id is None:
            return format_html("The fetch is no longer recorded.")
        address = reverse("admin:datasets_fetch_change", args=[revision.fetch_id])
        return format_html('<a href="{}">fetch {}</a>', address, revision.fetch_id)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions on revisions that the user may do."""
        allowed = revision_actions.allowed_actions(request.user)
        return {
            name: (partial(type(self)._ask_or_act, name=name), name, f"{row.label}: {row.hint}")
            for name, row in allowed.items()
        } | super().get_actions(request)

    def _ask_or_act(
        self, request: HttpRequest, queryset: QuerySet[Revision], *, name: str
    ) -> TemplateResponse | None:
        """Do the action, or return the page that asks for a confirmation first."""
        # The oldest first: a later one can cover an earlier one.
        action, chosen = revision_actions.ACTIONS[name], list(queryset.order_by("found_at", "pk"))
        if not action.must_ask(len(chosen)) or "confirmed" in request.POST:
            done = revision_actions.act(request.user, name, chosen, via="admin")
            for problem in done.problems:
                messages.error(request, problem)
            messages.success(request, done.sentence)
            return None
        context = self.admin_site.each_context(request) | {
            "title": f"{action.label}: {len(chosen)} revisions",
            "question": action.question,
            "chosen": chosen,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "action_name": request.POST["action"],
            "action_label": action.label,
        }
        return TemplateResponse(request, "admin/datasets/confirm.html", context)
