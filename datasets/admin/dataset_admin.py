"""The catalog in Django's admin: look, check, invalidate, pin, fetch again. Nothing is edited by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

# `token_admin` only has to be loaded: it registers the pages of the API tokens.
from datasets import serving
from datasets.catalog import lists
from datasets.errors import DatasetsError
from datasets.fetching import fetch_queue
from datasets.models import Dataset, Fetch
from datasets.serving.permissions import (
    MAY_DELETE,
    MAY_FETCH_AGAIN,
    MAY_INVALIDATE,
    MAY_PIN,
    MAY_VERIFY,
    is_allowed,
)
from datasets.serving.sign_in_attempts import AdminSignInForm
from datasets.views import staff_actions, wording
from datasets.views.downloads import Download
from datasets.views.snippets import chart_address

admin.site.site_header = "TradingView datasets"
admin.site.site_title = "TradingView datasets"
admin.site.index_title = "Catalog"
# The lists are wide, and two models need no map.
admin.site.enable_nav_sidebar = False
admin.site.index_template = "admin/catalog_index.html"
admin.site.login_form = AdminSignInForm


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than `listing.COUNTED` rows, however many there are."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: lists.COUNTED + 1].count())


class IndexedChangeList(ChangeList):
    """Ends each order by the id in the same direction, as the indexes do."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering = list(super().get_ordering(request, queryset))
        is_rising = isinstance(ordering[0], str) and not ordering[0].startswith("-")
        if is_rising and ordering[-1] == "-pk":
            ordering[-1] = "pk"
        return ordering


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows are written by the service alone."""

    show_full_result_count = False
    # Each would count all rows.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = lists.PER_PAGE
    paginator = BoundedPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IndexedChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    """Every file, what is in it, how good it is, and whether it is served."""

    list_display = (
        "exchange", "symbol", "timeframe", "n_rows", "bar_range", "age", "size", "state", "quality", "source", "pinned",
    )  # fmt: skip
    list_display_links = ("symbol",)
    # Not by what has two or three values: that is what the filters are for.
    sortable_by = ("exchange", "symbol", "timeframe", "n_rows", "bar_range", "age", "size", "state")
    list_filter = ("state", "source", "timeframe", "session", "adjustment", "is_pinned", "exchange")
    search_fields = ("symbol", "exchange", "content_hash")
    search_help_text = "Symbol, exchange or the beginning of a content hash"
    actions = ("fetch_again", "invalidate", "verify", "pin", "unpin", "download", "remove")
    fieldsets = [
        (None, {"fields": ["preview"]}),
        ("Key", {"fields": [("source", "exchange", "symbol"), ("timeframe", "n_bars"), ("session", "adjustment")]}),
        ("Bars", {"fields": ["n_rows", ("first_time", "last_time"), ("is_final", "limited")]}),
        ("Quality", {"fields": [("n_duplicates", "n_inconsistent"), ("zero_volume", "largest_gap"), "doubtful"]}),
        ("Instrument", {"fields": ["instrument_facts"]}),
        ("File", {"fields": [("state", "is_kept"), "path", "size", "content_hash", ("fetched_at", "tvdatafeed_version")]}),
        ("Use", {"fields": [("hits", "last_served_at"), "last_fetches"]}),
    ]  # fmt: skip
    readonly_fields = (
        "preview", "is_final", "limited", "zero_volume", "largest_gap", "doubtful", "instrument_facts", "is_kept", "size", "last_fetches",
    )  # fmt: skip
    # Of what is no field of the model, or is shown in other words than it.
    _help_texts: ClassVar = {
        "preview": "The bars in the file, times in UTC.",
        "is_final": "No while the newest bar was still forming; unknown if the feed did not say.",
        "limited": "The feed said that it holds no deeper history for this account.",
        "zero_volume": "Share of bars with a volume of 0.",
        "largest_gap": "Longest time between two neighbouring bars.",
        "doubtful": "What looks odd and may be right; kept as sent.",
        "instrument_facts": "As it was when the bars were fetched.",
        "is_kept": "Never pruned and never replaced by a later fetch.",
        "size": "Of the file.",
        "last_fetches": "The ten newest fetches of this key, and what came of each.",
    }

    class Media:
        css = {"all": ["css/colors.css", "css/admin.css"]}
        js = [Script("js/dataset.js", type="module")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        """Leave the widest column to the page that shows it: sorting carries all others along."""
        return super().get_queryset(request).defer("instrument")

    def get_form(
        self, request: HttpRequest, obj: Dataset | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Give a help text also to what is no field of the model."""
        return super().get_form(request, obj, change, **kwargs | {"help_texts": self._help_texts})

    # --- columns ------------------------------------------------------------------------

    @admin.display(description="range", ordering="last_time")
    def bar_range(self, dataset: Dataset) -> str:
        return f"{dataset.first_time:%Y-%m-%d} to {dataset.last_time:%Y-%m-%d}"

    @admin.display(description="age", ordering="-fetched_at")
    def age(self, dataset: Dataset) -> str:
        seconds = (timezone.now() - dataset.fetched_at).total_seconds()
        return "just now" if seconds < 60 else timesince(dataset.fetched_at, depth=1)

    @admin.display(description="size", ordering="bytes")
    def size(self, dataset: Dataset) -> str:
        return f"{dataset.bytes / 1000:,.1f} kB"

    @admin.display(description="quality")
    def quality(self, dataset: Dataset) -> str:
        found = {"duplicates": dataset.n_duplicates, "inconsistent": dataset.n_inconsistent}
        flaws = [f"{number} {name}" for name, number in found.items() if number]
        flaws += wording.doubts_of(dataset)
        if dataset.last_bar_final is False:
            flaws.append("last bar forming")
        return ", ".join(flaws) or "good"

    @admin.display(description="pinned", ordering="is_pinned")
    def pinned(self, dataset: Dataset) -> str:
        return "pinned" if dataset.is_pinned else ""

    # --- the detail page ----------------------------------------------------------------

    @admin.display(description="chart")
    def preview(self, dataset: Dataset) -> SafeString:
        if dataset.state != Dataset.State.READY:
            return format_html("There is no file to draw: the dataset is {}.", dataset.state)
        page = chart_address(dataset)
        link = format_html('<a href="{}">Open in the chart</a> · ', page) if page else ""
        return format_html(
            '<div class="chart-preview" data-bars-url="{}"></div>{}<a href="{}">Download the parquet file</a>',
            reverse("api-dataset-bars", args=[dataset.pk]) + "?format=columns", link, reverse("api-dataset-file", args=[dataset.pk]),
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
        return ", ".join(wording.doubts_of(dataset)) or "none"

    @admin.display(description="share of zero volume")
    def zero_volume(self, dataset: Dataset) -> str:
        share = dataset.zero_volume_share
        return "no volume is given" if share is None else f"{share:.1%}"

    @admin.display(description="largest gap")
    def largest_gap(self, dataset: Dataset) -> str:
        if dataset.largest_gap_s is None:
            return "none"
        return f"{dataset.largest_gap_s / 3600:,.1f} h"

    @admin.display(description="what TradingView says")
    def instrument_facts(self, dataset: Dataset) -> SafeString:
        facts = [
            (name.replace("_", " "), value)
            for name, value in dataset.instrument.items()
            if value not in ("", None)
        ]
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

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        return is_allowed(request.user, MAY_FETCH_AGAIN)

    def has_invalidate_permission(self, request: HttpRequest) -> bool:
        return is_allowed(request.user, MAY_INVALIDATE)

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return is_allowed(request.user, MAY_VERIFY)

    def has_remove_permission(self, request: HttpRequest) -> bool:
        # Django's own delete pages would leave the file behind; see `has_delete_permission`.
        return is_allowed(request.user, MAY_DELETE)

    def has_pin_permission(self, request: HttpRequest) -> bool:
        return is_allowed(request.user, MAY_PIN)

    @admin.action(description="Fetch again", permissions=["fetch"])
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        self._act(request, queryset, "fetch")

    @admin.action(description="Invalidate", permissions=["invalidate"])
    def invalidate(
        self, request: HttpRequest, queryset: QuerySet[Dataset]
    ) -> TemplateResponse | None:
        return self._ask_or_act(request, queryset, "invalidate", label="Invalidate")

    @admin.action(description="Delete: move the files to the trash", permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> TemplateResponse | None:
        return self._ask_or_act(request, queryset, "delete", label="Delete")

    @admin.action(description="Verify the files", permissions=["verify"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        self._act(request, queryset, "verify")

    @admin.action(description="Pin: never prune or replace", permissions=["pin"])
    def pin(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        self._act(request, queryset, "pin")

    @admin.action(description="Unpin", permissions=["pin"])
    def unpin(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        self._act(request, queryset, "unpin")

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
            # Shown on the next page of the admin; the archive holds the same sentences.
            messages.warning(request, sentence)
        return download.response()

    def _ask_or_act(
        self, request: HttpRequest, queryset: QuerySet[Dataset], name: str, *, label: str
    ) -> TemplateResponse | None:
        """Ask before an action is done to several datasets; the answer comes as a second POST."""
        action, chosen = staff_actions.ACTIONS[name], list(queryset)
        if not action.must_ask(len(chosen)) or "confirmed" in request.POST:
            self._act(request, chosen, name)
            return None
        context = self.admin_site.each_context(request) | {
            "title": f"{label} {len(chosen)} {'dataset' if len(chosen) == 1 else 'datasets'}",
            "question": action.question,
            "chosen": chosen,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "action_name": request.POST["action"],
            "action_label": label,
        }
        return TemplateResponse(request, "admin/datasets/confirm.html", context)

    def _act(self, request: HttpRequest, datasets: Iterable[Dataset], name: str) -> None:
        done = staff_actions.act(_user(request), name, datasets, via="admin")
        for problem in done.problems:
            messages.error(request, problem)
        messages.success(request, done.sentence)


def _user(request: HttpRequest) -> User:
    """Return who is signed in; the admin lets in nobody else."""
    assert isinstance(request.user, User)
    return request.user


@admin.register(Fetch)
class FetchAdmin(ReadOnlyAdmin):
    """Every attempt to get a dataset, and what came of it."""

    list_display = (
        "requested_at", "exchange", "symbol", "timeframe", "n_bars", "state", "error_code", "attempts",
        "n_rows", "waited_ms", "fetched_ms", "stored_ms", "requested_via", "requested_by",
    )  # fmt: skip
    list_display_links = ("symbol",)
    list_filter = ("state", "error_code", "requested_via", "source", "timeframe")
    search_fields = ("symbol", "exchange", "requested_by")
    actions = ("ask_again", "cancel")
    exclude = ("owner", "lease_until", "turn", "failures")

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        return is_allowed(request.user, MAY_FETCH_AGAIN)

    @admin.action(description="Ask again for what failed or was cancelled", permissions=["fetch"])
    def ask_again(self, request: HttpRequest, queryset: QuerySet[Fetch]) -> None:
        ended = queryset.filter(state__in=[Fetch.State.FAILED, Fetch.State.CANCELLED])
        asked = []
        for fetch in ended:
            try:
                new = serving.request_fetch(fetch.key, via="admin", by=request.user.get_username())
            except DatasetsError as error:
                messages.error(request, f"{fetch}: {error}")
            else:
                asked.append(new)
                self.log_change(request, fetch, f"Asked again: fetch {new.pk}.")
        messages.success(request, f"{_fetches(len(asked))} asked for again.")

    @admin.action(description="Cancel what is still queued", permissions=["fetch"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Fetch]) -> None:
        cancelled = [fetch for fetch in queryset if fetch_queue.cancel(fetch)]
        for fetch in cancelled:
            self.log_change(request, fetch, "Cancelled.")
        messages.success(request, f"{_fetches(len(cancelled))} cancelled.")


def _fetches(number: int) -> str:
    return f"{number} {'fetch' if number == 1 else 'fetches'}"
