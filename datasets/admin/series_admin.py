"""The admin pages of series."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from datasets.admin.read_only_admin import IndexedValuesFilter, ReadOnlyAdmin
from datasets.catalog import lists
from datasets.models import Dataset, Fetch, Revision, Series
from datasets.views import phrases

_OPEN = Count("revisions", filter=Q(revisions__state=Revision.State.OPEN))


@admin.register(Series)
class SeriesAdmin(ReadOnlyAdmin):
    """Lists series with the size and the state of their archives; its links lead to their datasets and fetches."""

    list_display = (
        "exchange", "symbol", "timeframe", "n_rows", "bar_range", "fetched_at", "size", "state", "generation", "source",
    )  # fmt: skip
    list_display_links = ("symbol",)
    sortable_by = ("exchange", "symbol", "timeframe", "n_rows", "bar_range", "fetched_at", "size")
    list_filter = (
        "is_awaiting",
        ("source", IndexedValuesFilter),
        "timeframe",
        "session",
        "adjustment",
        ("exchange", IndexedValuesFilter),
    )
    # As on the pages: an index contains these columns together.
    search_fields = lists.SEARCHED
    search_help_text = "Symbol, exchange or description"
    fieldsets = [
        (None, {"fields": ["links"]}),
        ("Key", {"fields": [("source", "exchange", "symbol"), ("timeframe", "session", "adjustment")]}),
        ("Bars", {"fields": ["n_rows", ("first_time", "last_time"), "last_bar_final", ("n_holes", "is_awaiting")]}),
        ("Archive", {"fields": [("sequence", "generation"), "size", "fetched_at"]}),
        ("Use", {"fields": ["views", "last_fetches"]}),
    ]  # fmt: skip
    readonly_fields = ("links", "size", "views", "last_fetches")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Series]:
        """Defer `instrument`: a sort of the list would carry this wide column along."""
        return super().get_queryset(request).defer("instrument")

    @admin.display(description="range", ordering="last_time")
    def bar_range(self, series: Series) -> str:
        return f"{series.first_time:%Y-%m-%d} to {series.last_time:%Y-%m-%d}"

    @admin.display(description="size", ordering="bytes")
    def size(self, series: Series) -> str:
        return phrases.size_in_words(series.bytes)

    @admin.display(description="state")
    def state(self, series: Series) -> str:
        return ", ".join(phrases.flaws_of_series(series, 0)) or "good"

    @admin.display(description="pages")
    def links(self, series: Series) -> SafeString:
        n_open = Series.objects.filter(pk=series.pk).aggregate(n=_OPEN)["n"]
        return format_html(
            '<a href="{}">Coverage and revisions</a> · <a href="{}?series__id__exact={}">Revisions, {} to decide</a>',
            reverse("series", args=[series.pk]), reverse("admin:datasets_revision_changelist"), series.pk, n_open,
        )  # fmt: skip

    @admin.display(description="datasets")
    def views(self, series: Series) -> SafeString:
        rows = [
            (reverse("admin:datasets_dataset_change", args=[each.pk]), str(each), each.state)
            for each in Dataset.objects.filter(series=series).defer("instrument").order_by("n_bars")
        ]
        return _table('<tr><td><a href="{}">{}</a></td><td>{}</td></tr>', rows)

    @admin.display(description="last fetches")
    def last_fetches(self, series: Series) -> SafeString:
        rows = [
            (reverse("admin:datasets_fetch_change", args=[each.pk]), f"{each.requested_at:%Y-%m-%d %H:%M:%S}", each.state, each.n_rows)
            for each in Fetch.objects.filter(series=series)[:10]
        ]  # fmt: skip
        return _table('<tr><td><a href="{}">{}</a></td><td>{}</td><td>{} bars</td></tr>', rows)


def _table(row: str, rows: Sequence[tuple[object, ...]]) -> SafeString:
    return (
        format_html("<table>{}</table>", format_html_join("", row, rows))
        if rows
        else format_html("none")
    )
