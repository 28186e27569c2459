"""The admin pages of datasets: view, verify, invalidate, pin, fetch again, delete, download."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from datasets.admin.import_page import ImportPage
from datasets.admin.read_only_admin import IndexedValuesFilter
from datasets.calendars import Kind
from datasets.catalog import lists
from datasets.errors import DatasetsError
from datasets.models import Dataset, Fetch, database
from datasets.views import phrases, staff_actions
from datasets.views.downloads import Download
from datasets.views.page_data import script_data
from datasets.views.snippets import chart_address

_HASH = re.compile("[0-9a-f]{8,64}")


class MissingBarsFilter(admin.SimpleListFilter):
    """Filter by the findings of the gap report."""

    title = "missing bars"
    parameter_name = "missing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "none"), *((kind.value, kind.value.replace("_", " ")) for kind in Kind)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> QuerySet[Dataset]:
        kind = self.value()
        if kind == "none":
            return queryset.filter(coverage__missing=0)
        return queryset.filter(coverage__counts__has_key=kind) if kind else queryset


@admin.register(Dataset)
class DatasetAdmin(ImportPage):
    """Lists datasets with their contents, quality and state; the actions are those of the pages."""

    list_display = (
        "exchange", "symbol", "timeframe", "n_rows", "bar_range", "age", "size", "state", "quality", "source", "pinned",
    )  # fmt: skip
    list_display_links = ("symbol",)
    # Columns with two or three values are left to the filters.
    sortable_by = ("exchange", "symbol", "timeframe", "n_rows", "bar_range", "age", "size", "state")
    list_filter = (
        "state",
        ("source", IndexedValuesFilter),
        "timeframe",
        "session",
        "adjustment",
        "is_pinned",
        MissingBarsFilter,
        ("exchange", IndexedValuesFilter),
    )
    # As on the pages: an index contains these columns together.
    search_fields = lists.SEARCHED
    search_help_text = (
        "Symbol, exchange, description or the beginning of a content hash (8 digits or more)"
    )
    actions = ("download",)
    fieldsets = [
        (None, {"fields": ["preview"]}),
        ("Key", {"fields": [("source", "exchange", "symbol"), ("timeframe", "n_bars"), ("session", "adjustment")]}),
        ("Bars", {"fields": ["n_rows", ("first_time", "last_time"), ("is_final", "limited")]}),
        ("Quality", {"fields": [("n_duplicates", "n_inconsistent"), ("zero_volume", "largest_gap"), "doubtful", "missing_bars"]}),
        ("Instrument", {"fields": ["instrument_facts"]}),
        ("File", {"fields": [("state", "is_kept"), "path", "size", "content_hash", ("fetched_at", "tvdatafeed_version")]}),
        ("Use", {"fields": [("hits", "last_served_at"), "last_fetches"]}),
    ]  # fmt: skip
    readonly_fields = (
        "preview", "is_final", "limited", "zero_volume", "largest_gap", "doubtful", "missing_bars", "instrument_facts", "is_kept", "size", "last_fetches",
    )  # fmt: skip
    # For rows that are not model fields, or that show other words than the field.
    _help_texts: ClassVar = {
        "preview": "The bars in the file, times in UTC.",
        "is_final": "No while the newest bar was still forming; unknown if the feed did not say.",
        "limited": "The feed said that it holds no deeper history for this account.",
        "zero_volume": "Share of bars with a volume of 0.",
        "largest_gap": "Longest time between two neighbouring bars.",
        "doubtful": "Values that look odd and may be right; kept as sent.",
        "missing_bars": "The largest findings of the gap report, and how they are known.",
        "instrument_facts": "As TradingView described it when the bars were fetched.",
        "is_kept": "Never pruned and never replaced by a later fetch.",
        "size": "Size of the file.",
        "last_fetches": "The ten newest fetches of this key, with their outcomes.",
    }

    class Media:
        css = {"all": ["css/colors.css", "css/admin.css"]}
        js = [Script("js/dataset.js", type="module")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        """Defer `instrument`: a sort of the list would carry this wide column along."""
        return super().get_queryset(request).defer("instrument")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find also the datasets whose content hash begins with the text."""
        word = search_term.strip().lower()
        if _HASH.fullmatch(word):
            # A range of the index; `g` comes after all hexadecimal digits.
            found = queryset.filter(content_hash__range=(word, f"{word}g"))
            if found.exists():
                return found, False
        return super().get_search_results(request, queryset, search_term)

    def get_form(
        self, request: HttpRequest, obj: Dataset | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Add the help texts of rows that are not model fields."""
        return super().get_form(request, obj, change, **kwargs | {"help_texts": self._help_texts})

    # --- columns ------------------------------------------------------------------------

    @admin.display(description="range", ordering="last_time")
    def bar_range(self, dataset: Dataset) -> str:
        return f"{dataset.first_time:%Y-%m-%d} to {dataset.last_time:%Y-%m-%d}"

    @admin.display(description="age", ordering="-fetched_at")
    def age(self, dataset: Dataset) -> str:
        seconds = (database.shared_now() - dataset.fetched_at).total_seconds()
        return "just now" if seconds < 60 else timesince(dataset.fetched_at, depth=1)

    @admin.display(description="size", ordering="bytes")
    def size(self, dataset: Dataset) -> str:
        return phrases.size_in_words(dataset.bytes)

    @admin.display(description="quality")
    def quality(self, dataset: Dataset) -> str:
        return ", ".join(phrases.flaws_of(dataset)) or "good"

    @admin.display(description="pinned", ordering="is_pinned")
    def pinned(self, dataset: Dataset) -> str:
        return "pinned" if dataset.is_pinned else ""

    # --- the detail page ----------------------------------------------------------------

    @admin.display(description="chart")
    def preview(self, dataset: Dataset) -> SafeString:
        if dataset.state != Dataset.State.READY:
            return format_html("No chart: the dataset is {}.", dataset.state)
        page = chart_address(dataset)
        link = format_html('<a href="{}">Open in the chart</a> · ', page) if page else ""
        return format_html(
            '{}<div class="chart-preview" data-bars-url="{}"></div>{}<a href="{}">Download the parquet file</a>',
            script_data(), reverse("api-dataset-bars", args=[dataset.pk]) + "?format=columns", link, reverse("api-dataset-file", args=[dataset.pk]),
        )  # fmt: skip

    @admin.display(description="last bar is final")
    def is_final(self, dataset: Dataset) -> str:
        return {True: "yes", False: "no", None: "unknown"}[dataset.last_bar_final]

    @admin.display(description="limited by the feed")
    def limited(self, dataset: Dataset) -> str:
        return "yes" if dataset.is_limited else "no"

    @admin.display(description="pinned")
    def is_kept(self, dataset: Dataset) -> str:
        return "yes" if dataset.is_pinned else "no"

    @admin.display(description="doubts")
    def doubtful(self, dataset: Dataset) -> str:
        return ", ".join(phrases.doubts_of(dataset)) or "none"

    @admin.display(description="missing bars")
    def missing_bars(self, dataset: Dataset) -> SafeString | str:
        gaps = phrases.gaps_of(dataset)
        if not gaps or gaps["why_unknown"]:
            return gaps.get("why_unknown", "") or "The catalog has no report for these bars."
        findings = [
            (one["kind"], one["start"], one["end"], one["n_bars"], one["reason"])
            for one in gaps["findings"]
        ]
        rows = format_html_join(
            "", "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", findings
        )
        head = f"{gaps['held']:,} of {gaps['expected']:,} expected bars"
        return format_html("{}<table>{}</table>", head, rows)

    @admin.display(description="share of zero volume")
    def zero_volume(self, dataset: Dataset) -> str:
        share = dataset.zero_volume_share
        return "no volume is given" if share is None else f"{share:.1%}"

    @admin.display(description="largest gap")
    def largest_gap(self, dataset: Dataset) -> str:
        return phrases.gap_in_words(dataset)

    @admin.display(description="TradingView's description")
    def instrument_facts(self, dataset: Dataset) -> SafeString:
        facts = phrases.facts_of(dataset.instrument)
        return format_html(
            "<table>{}</table>", format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", facts)
        )

    @admin.display(description="last fetches")
    def last_fetches(self, dataset: Dataset) -> SafeString:
        fetches = Fetch.objects.filter(**dataset.key.as_dict())[:10]
        rows = [
            (reverse("admin:datasets_fetch_change", args=[f.pk]), f"{f.requested_at:%Y-%m-%d %H:%M:%S}", f.state, f.error_code, f.n_rows)
            for f in fetches
        ]  # fmt: skip
        return format_html(
            "<table>{}</table>",
            format_html_join(
                "", '<tr><td><a href="{}">{}</a></td><td>{} {}</td><td>{} bars</td></tr>', rows
            ),
        )

    # --- actions ------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions of staff that the user may do, and the download."""
        allowed = staff_actions.allowed_actions(request.user)
        return {
            name: (partial(type(self)._ask_or_act, name=name), name, f"{row.label}: {row.hint}")
            for name, row in allowed.items()
        } | super().get_actions(request)

    @admin.action(description="Download", permissions=["view"])
    def download(
        self, request: HttpRequest, queryset: QuerySet[Dataset]
    ) -> HttpResponseBase | None:
        try:
            download = Download.of(queryset)
        except DatasetsError as error:
            messages.error(request, str(error))
            return None
        staff_actions.note(
            _user(request), [(d, staff_actions.Result("Downloaded.")) for d in download.datasets]
        )
        for sentence in download.left_out:
            # The admin's next page shows the sentence; the downloaded archive holds it too.
            messages.warning(request, sentence)
        return download.response()

    def _ask_or_act(
        self, request: HttpRequest, queryset: QuerySet[Dataset], *, name: str
    ) -> TemplateResponse | None:
        """Do the action, or return the page that asks for a confirmation first.

        The confirmation page sends the same action again, with `confirmed`.
        """
        action, chosen = staff_actions.ACTIONS[name], list(queryset)
        if not action.must_ask(len(chosen)) or "confirmed" in request.POST:
            done = staff_actions.act(_user(request), name, chosen, via="admin")
            for problem in done.problems:
                messages.error(request, problem)
            messages.success(request, done.sentence)
            return None
        context = self.admin_site.each_context(request) | {
            "title": f"{action.label} {len(chosen)} {'dataset' if len(chosen) == 1 else 'datasets'}",
            "question": action.question,
            "chosen": chosen,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "action_name": request.POST["action"],
            "action_label": action.label,
        }
        return TemplateResponse(request, "admin/datasets/confirm.html", context)


def _user(request: HttpRequest) -> User:
    """Return the signed-in user; the admin admits no anonymous visitor."""
    assert isinstance(request.user, User)
    return request.user
