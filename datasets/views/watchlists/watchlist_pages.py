"""The pages of watchlists: all lists, one list with its series, and the form that adds a symbol."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from datasets import watchlists as lists_of_symbols
from datasets.catalog import lists
from datasets.fetching.schedule import watch_symbols
from datasets.models import WatchedSymbol, Watchlist, database
from datasets.serving.permissions import MAY_WATCH, is_allowed
from datasets.views.form_values import primary_key
from datasets.views.watchlists import watchlist_rows
from datasets.views.watchlists.watchlist_forms import OneSymbolForm, SymbolsForm, WatchlistForm
from datasets.watchlists.budget import budget_of, needs_of, present_budget
from datasets.watchlists.kept_numbers import kept

_METHODS = ["GET", "HEAD", "POST"]


@require_http_methods(_METHODS)
def watchlists(request: HttpRequest) -> HttpResponse:
    """Show all watchlists; a POST makes a new one."""
    form = WatchlistForm.empty()
    if request.method == "POST":
        _require_change(request)
        form = WatchlistForm(request.POST)
        made = form.apply(
            lambda values: lists_of_symbols.create_watchlist(**values, **_actor(request))
        )
        if made is not None:
            messages.success(request, f"The list {made.name} is made. Add its symbols now.")
            return redirect("watchlist", made.pk)
    page = lists.page_of(
        Watchlist.objects.all(),
        order=["name"],
        number=lists.page_number(request.GET.get("page", "")),
    )
    context = {
        "page": page,
        "rows": watchlist_rows.list_rows(page.rows, database.shared_now()),
        "budget": present_budget(),
        "form": form,
        "may_change": is_allowed(request.user, MAY_WATCH),
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
    }
    return render(request, "watchlists.html", context, status=400 if form.errors else 200)


@require_http_methods(_METHODS)
def watchlist(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one watchlist: its series, how fresh each is, and the forms that change it."""
    try:
        found = get_object_or_404(Watchlist, pk=pk)
    except (Http404, OverflowError):
        return render(request, "watchlist_missing.html", {"number": pk}, status=404)
    if request.method != "POST":
        return _page(request, found, WatchlistForm.of(found), SymbolsForm())
    _require_change(request)
    match request.POST.get("action", ""):
        case "add":
            symbols = SymbolsForm(request.POST, request.FILES)
            new = symbols.apply(
                lambda _: watch_symbols(found, symbols.entries(), **_actor(request))
            )
            if new is None:
                return _page(request, found, WatchlistForm.of(found), symbols)
            _say_added(request, found, new)
        case "change":
            values = WatchlistForm(request.POST)
            values.apply(
                lambda given: lists_of_symbols.change_watchlist(found, **given, **_actor(request))
            )
            if values.errors:
                # The refused values are in the row that was read.
                found.refresh_from_db()
                return _page(request, found, values, SymbolsForm())
            messages.success(request, f"The list {found.name} is changed.")
        case action:
            return _act(request, found, action)
    return HttpResponseRedirect(request.get_full_path())


@require_safe
def watchlist_file(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the symbols as a text file, in the format in which TradingView exports a list."""
    found = get_object_or_404(Watchlist, pk=pk)
    text = lists_of_symbols.write_symbols(found.symbols.all())
    name = re.sub(r"[^\w.-]+", "_", found.name)
    headers = {"Content-Disposition": f'attachment; filename="{name}.txt"'}
    if not name.isascii():
        headers["Content-Disposition"] = f'attachment; filename="watchlist-{found.pk}.txt"'
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


@require_http_methods(_METHODS)
def symbol_form(request: HttpRequest) -> HttpResponse:
    """Show the form that adds the symbol of the address to a list; a POST adds it."""
    _require_change(request)
    names = ("symbol", "timeframe")
    form = OneSymbolForm(initial={name: request.GET.get(name, "") for name in names})
    if request.method == "POST":
        form = OneSymbolForm(request.POST)
        done = form.apply(lambda values: form.add(**_actor(request)))
        if done is not None:
            found, new = done
            _say_added(request, found, new)
            return redirect("watchlist", found.pk)
    status = 400 if form.errors else 200
    return render(request, "watchlist_symbol.html", {"form": form}, status=status)


def _page(
    request: HttpRequest, found: Watchlist, values: WatchlistForm, symbols: SymbolsForm
) -> HttpResponse:
    now = database.shared_now()
    state, number = request.GET.get("state", ""), lists.page_number(request.GET.get("page", ""))
    series = watchlist_rows.SeriesPage.of(found, state, number, now)
    needs = kept(("needs", found.pk), lambda: needs_of(lists_of_symbols.schedules_of(found)))
    context = {
        "watchlist": found,
        "budget": present_budget(),
        "calls_a_day": budget_of(needs, now).calls_a_day,
        "n_symbols": found.symbols.count(),
        "n_series": series.n_series,
        "counts": series.counts,
        "state": state,
        "page": series.page,
        "rows": watchlist_rows.series_rows(series.page.rows, found.symbols.all()),
        "values": values,
        "symbols": symbols,
        "may_change": is_allowed(request.user, MAY_WATCH),
        "previous": lists.address(request, page=number - 1),
        "next": lists.address(request, page=number + 1),
    }
    is_refused = bool(values.errors or symbols.errors)
    return render(request, "watchlist.html", context, status=400 if is_refused else 200)


def _act(request: HttpRequest, found: Watchlist, action: str) -> HttpResponse:
    """Do an action that has no form of its own: pause, resume, remove a symbol, delete."""
    actor = _actor(request)
    match action:
        case "pause":
            lists_of_symbols.pause(found, **actor)
            messages.success(request, f"The list {found.name} is paused: it causes no fetch.")
        case "resume":
            lists_of_symbols.resume(found, **actor)
            messages.success(request, f"The list {found.name} is fetched again.")
        case "remove":
            row = found.symbols.filter(pk=primary_key(request.POST.get("symbol", ""))).first()
            if row is None:
                messages.warning(request, "That symbol is not in the list any more.")
            else:
                entry = lists_of_symbols.SymbolEntry(row.exchange, row.symbol)
                lists_of_symbols.remove_symbols(found, [entry], **actor)
                messages.success(request, f"{row} is removed from the list; its bars stay.")
        case "delete" if "confirmed" not in request.POST:
            return render(request, "watchlist_delete.html", {"watchlist": found})
        case "delete":
            lists_of_symbols.delete_watchlist(found, **actor)
            messages.success(request, f"The list {found.name} is deleted; its bars stay.")
            return redirect("watchlists")
        case _:
            raise PermissionDenied
    return HttpResponseRedirect(request.get_full_path())


def _say_added(request: HttpRequest, found: Watchlist, new: list[WatchedSymbol]) -> None:
    if not new:
        messages.warning(request, f"The list {found.name} has these symbols already.")
        return
    symbols = "1 symbol is" if len(new) == 1 else f"{len(new):,} symbols are"
    messages.success(request, f"{symbols} added to {found.name}.")
    n_unchecked = sum(bool(row.problem) for row in new)
    if n_unchecked:
        messages.warning(
            request,
            f"{n_unchecked:,} of them could not be checked; the first fetch shows whether they exist.",
        )


def _require_change(request: HttpRequest) -> None:
    if not is_allowed(request.user, MAY_WATCH):
        raise PermissionDenied


def _actor(request: HttpRequest) -> dict[str, Any]:
    return {"by": request.user.get_username(), "via": "page"}
