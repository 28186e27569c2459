"""The catalog in Django's admin: look, check, invalidate, pin, fetch again. Nothing is edited by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms.widgets import Script
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

# `token_admin` only has to be loaded: it registers the pages of the API tokens.
from datasets import acting, catalog, fetch_queue, fetching, listing, serving, token_admin  # noqa: F401
from datasets.errors import DatasetsError
from datasets.models import Dataset, Fetch
from datasets.sign_in import AdminSignInForm

# One download holds at most so many bytes, as it is made in memory.
_MAX_DOWNLOAD_BYTES = 200 * 1024 * 1024


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
        return int(rows.order_by()[: listing.COUNTED + 1].count())


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
    list_per_page = listing.PER_PAGE
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
    actions = ("fetch_again", "invalidate", "verify", "pin", "unpin", "download")
    fieldsets = [
        (None, {"fields": ["preview"]}),
        ("Key", {"fields": [("source", "exchange", "symbol"), ("timeframe", "n_bars"), ("session", "adjustment")]}),
        ("Bars", {"fields": ["n_rows", ("first_time", "last_time"), ("is_final", "limited")]}),
        ("Quality", {"fields": [("n_duplicates", "n_inconsistent"), ("zero_volume", "largest_gap")]}),
        ("Instrument", {"fields": ["instrument_facts"]}),
        ("File", {"fields": [("state", "is_kept"), "path", "size", "content_hash", ("fetched_at", "tvdatafeed_version")]}),
        ("Use", {"fields": [("hits", "last_served_at"), "last_fetches"]}),
    ]  # fmt: skip
    readonly_fields = (
        "preview", "is_final", "limited", "zero_volume", "largest_gap", "instrument_facts", "is_kept", "size", "last_fetches",
    )  # fmt: skip
    # Of what is no field of the model, or is shown in other words than it.
    _help_texts: ClassVar = {
        "preview": "The bars in the file, times in UTC.",
        "is_final": "No while the newest bar was still forming; unknown if the feed did not say.",
        "limited": "The feed said that it holds no deeper history for this account.",
        "zero_volume": "Share of bars with a volume of 0.",
        "largest_gap": "Longest time between two neighbouring bars.",
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
        query = (
            f"?symbol={dataset.symbol}"
            if not dataset.exchange
            else f"?symbol={dataset.key.full_symbol}"
        )
        page = f"{reverse('chart')}{query}&timeframe={dataset.timeframe}&n_bars={dataset.n_bars}"
        return format_html(
            '<div class="chart-preview" data-bars-url="{}"></div><a href="{}">Open in the chart</a> · '
            '<a href="{}">Download the parquet file</a>',
            reverse("api-dataset-bars", args=[dataset.pk]) + "?format=columns", page, reverse("api-dataset-file", args=[dataset.pk]),
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
        return request.user.has_perm("datasets.fetch_dataset")

    def has_invalidate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("datasets.invalidate_dataset")

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("datasets.verify_dataset")

    def has_pin_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("datasets.pin_dataset")

    @admin.action(description="Fetch again", permissions=["fetch"])
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        def fetch(dataset: Dataset) -> None:
            serving.refresh(dataset, via="admin", by=request.user.get_username())

        self._do_each(
            request, queryset, fetch, log="Fetch again.", done="queued to be fetched again"
        )

    @admin.action(description="Invalidate", permissions=["invalidate"])
    def invalidate(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        done = "invalidated, to be fetched again when asked for"
        self._do_each(request, queryset, serving.invalidate, log="Invalidated.", done=done)

    @admin.action(description="Verify the files", permissions=["verify"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        bad: list[str] = []

        def verify(dataset: Dataset) -> None:
            finding = catalog.verify(dataset)
            if finding.outcome != "ok":
                bad.append(f"{dataset}: {finding.outcome}. {finding.detail}")

        self._do_each(request, queryset, verify, log="Verified.", done="verified")
        for sentence in bad:
            messages.error(request, sentence)

    @admin.action(description="Pin: never prune or replace", permissions=["pin"])
    def pin(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        self._set_pinned(request, queryset, is_pinned=True)

    @admin.action(description="Unpin", permissions=["pin"])
    def unpin(self, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        self._set_pinned(request, queryset, is_pinned=False)

    @admin.action(description="Download", permissions=["view"])
    def download(
        self, request: HttpRequest, queryset: QuerySet[Dataset]
    ) -> HttpResponseBase | None:
        datasets = list(queryset.filter(state=Dataset.State.READY))
        if sum(dataset.bytes for dataset in datasets) > _MAX_DOWNLOAD_BYTES or not datasets:
            messages.error(
                request,
                "Choose ready datasets of at most 200 MB together; `manage.py datasets export` takes more.",
            )
            return None
        try:
            paths = [catalog.path_to_read(dataset) for dataset in datasets]
        except DatasetsError as error:
            messages.error(request, str(error))
            return None
        acting.note(_user(request), datasets, "Downloaded.")
        if len(paths) == 1:
            return FileResponse(paths[0].open("rb"), as_attachment=True)
        archive = io.BytesIO()
        is_mixed = len({dataset.source for dataset in datasets}) > 1
        with zipfile.ZipFile(archive, "w") as file:
            for dataset, path in zip(datasets, paths, strict=True):
                # Sample bars are never to lie beside real ones, which have the same names.
                file.write(path, dataset.path if is_mixed else path.name)
        response = HttpResponse(archive.getvalue(), content_type="application/zip")
        response["Content-Disposition"] = 'attachment; filename="datasets.zip"'
        return response

    def _set_pinned(
        self, request: HttpRequest, queryset: QuerySet[Dataset], *, is_pinned: bool
    ) -> None:
        word = "Pinned" if is_pinned else "Unpinned"

        def change(dataset: Dataset) -> None:
            Dataset.objects.filter(pk=dataset.pk).update(is_pinned=is_pinned)

        self._do_each(request, queryset, change, log=f"{word}.", done=word.lower())

    def _do_each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Dataset],
        change: Callable[[Dataset], object],
        *,
        log: str,
        done: str,
    ) -> None:
        outcome = acting.do_each(_user(request), queryset, change, log=log, done=done)
        for refusal in outcome.refusals:
            messages.error(request, refusal)
        messages.success(request, outcome.sentence)


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
    actions = ("cancel",)
    exclude = ("owner", "lease_until", "enqueued_at")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("datasets.fetch_dataset")

    @admin.action(description="Cancel what is still queued", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Fetch]) -> None:
        cancelled = [fetch for fetch in queryset if fetch_queue.cancel(fetch)]
        for fetch in cancelled:
            self.log_change(request, fetch, f"Cancelled. (one of {len(cancelled)})")
        noun = "fetch" if len(cancelled) == 1 else "fetches"
        messages.success(request, f"{len(cancelled)} {noun} cancelled.")
