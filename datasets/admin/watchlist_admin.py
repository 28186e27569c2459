"""The admin pages of watchlists and of the schedules of their series."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from datasets import watchlists
from datasets.admin.read_only_admin import IndexedValuesFilter, ReadOnlyAdmin
from datasets.bars import Timeframe
from datasets.models import Schedule, Watchlist, database
from datasets.serving.permissions import MAY_WATCH


@admin.register(Watchlist)
class WatchlistAdmin(ReadOnlyAdmin):
    """Lists watchlists with the state of their series; they can be paused and resumed here."""

    list_display = ("name", "at_timeframes", "n_symbols", "is_paused", "owner", "created_at")
    # A person makes each list, so there are few.
    sortable_by = list_display
    list_filter = ("is_paused",)
    search_fields = ("name",)
    actions = ("pause", "resume")
    fieldsets = [
        (None, {"fields": [("name", "owner"), ("is_paused", "created_at")]}),
        ("Values", {"fields": ["at_timeframes", ("session", "adjustment"), ("first_bars", "settle_s")]}),
        ("Symbols", {"fields": ["problems"]}),
        ("Series", {"fields": ["series"]}),
    ]  # fmt: skip
    readonly_fields = ("at_timeframes", "problems", "series")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Watchlist]:
        """Count the symbols of all lists in the one query."""
        found: QuerySet[Watchlist] = super().get_queryset(request)
        return found.annotate(number=Count("symbols"))

    @admin.display(description="timeframes")
    def at_timeframes(self, watchlist: Watchlist) -> str:
        return ", ".join(watchlist.timeframe_labels)

    @admin.display(description="symbols", ordering="number")
    def n_symbols(self, watchlist: Watchlist) -> int:
        # The annotation of `get_queryset`, which the type of the row does not have.
        number: int = getattr(watchlist, "number", 0)
        return number

    @admin.display(description="problems")
    def problems(self, watchlist: Watchlist) -> SafeString:
        rows = [(str(each), each.problem) for each in watchlist.symbols.exclude(problem="")]
        return _table("<tr><td>{}</td><td>{}</td></tr>", rows)

    @admin.display(description="series")
    def series(self, watchlist: Watchlist) -> SafeString:
        rows = [
            (each.full_symbol, Timeframe(each.schedule.timeframe).label, each.freshness.state.value, each.freshness.reason)
            for each in watchlists.states_of(watchlist, database.shared_now())
        ]  # fmt: skip
        return _table("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows)

    def has_watch_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may pause and resume lists."""
        return request.user.has_perm(MAY_WATCH)

    @admin.action(description="Pause the selected watchlists", permissions=["watch"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Watchlist]) -> None:
        for watchlist in chosen:
            watchlists.pause(watchlist, by=request.user.get_username(), via="admin")
        messages.success(request, f"{len(chosen)} watchlists are paused.")

    @admin.action(description="Resume the selected watchlists", permissions=["watch"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Watchlist]) -> None:
        for watchlist in chosen:
            watchlists.resume(watchlist, by=request.user.get_username(), via="admin")
        messages.success(request, f"{len(chosen)} watchlists are fetched again.")


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Lists the schedules of the watchlists' series: the next fetch and the last outcome of each."""

    list_display = (
        "exchange", "symbol", "timeframe", "due_at", "is_paused", "failures", "last_ok_at", "source",
    )  # fmt: skip
    list_display_links = ("symbol",)
    sortable_by = ("symbol", "due_at")
    list_filter = (
        "is_paused",
        ("source", IndexedValuesFilter),
        "timeframe",
        ("exchange", IndexedValuesFilter),
    )
    search_fields = ("symbol", "exchange")
    search_help_text = "Symbol or exchange"
    list_select_related = False
    fieldsets = [
        ("Key", {"fields": [("source", "exchange", "symbol"), ("timeframe", "session", "adjustment")]}),
        ("Next fetch", {"fields": ["due_at", ("n_bars", "settle_s"), ("is_paused", "pause_reason")]}),
        ("Last fetch", {"fields": ["last_ok_at", ("failures", "last_error"), "backfilled_at"]}),
    ]  # fmt: skip


def _table(row: str, rows: Sequence[tuple[str, ...]]) -> SafeString:
    if not rows:
        return format_html("none")
    return format_html("<table>{}</table>", format_html_join("", row, rows))
