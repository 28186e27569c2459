"""The pages of watchlists: all lists, one list with its series, and the form that adds a symbol."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from datasets import watchlists as lists_of_symbols
from datasets.catalog import lists
from datasets.errors import DatasetsError
from datasets.fetching.schedule import check_symbols, watch_symbols
from datasets.models import Watchlist
from datasets.serving.permissions import MAY_WATCH, is_allowed
from datasets.views.form_values import primary_key
from datasets.views.watchlists import watchlist_rows
from datasets.views.watchlists.watchlist_forms import OneSymbolForm, SymbolsForm, WatchlistForm

_METHODS = ["GET", "HEAD", "POST"]


@require_http_methods(_METHODS)
def watchlists(request: HttpRequest) -> HttpResponse:
    """Show all watchlists; a POST makes a new one."""
    form = WatchlistForm.empty()
    if request.method == "POST":
        form = WatchlistForm(request.POST)
        made = _create(request, form)
        if made is not None:
            return redirect("watchlist", made.pk)
    page = lists.page_of(
        Watchlist.objects.all(),
        order=["name"],
        number=lists.page_number(request.GET.get("page", "")),
    )
    now = timezone.now()
    context = {
        "page": page,
        "rows": [watchlist_rows.list_row(each, now) for each in page.rows],
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
    values, symbols = WatchlistForm.of(found), SymbolsForm()
    if request.method == "POST":
        _require_change(request)
        match request.POST.get("action", ""):
            case "add":
                symbols = SymbolsForm(request.POST, request.FILES)
                reply = _add(request, found, symbols)
            case "change":
                values = WatchlistForm(request.POST)
                reply = _change(request, found, values)
            case action:
                reply = _act(request, found, action)
        if reply is not None:
            return reply
        # A refused change leaves its values in the row that was read.
        found.refresh_from_db()
    return _page(request, found, values, symbols)


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
    form = OneSymbolForm(
        initial={name: request.GET.get(name, "") for name in ("symbol", "timeframe")}
    )
    if request.method == "POST":
        form = OneSymbolForm(request.POST)
        reply = _add_one(request, form)
        if reply is not None:
            return reply
    return render(
        request, "watchlist_symbol.html", {"form": form}, status=400 if form.errors else 200
    )


def _page(
    request: HttpRequest, found: Watchlist, values: WatchlistForm, symbols: SymbolsForm
) -> HttpResponse:
    states = lists_of_symbols.states_of(found, timezone.now())
    counts = watchlist_rows.counts_in_words(states)
    state = request.GET.get("state", "")
    chosen = [each for each in states if state in ("", each.freshness.state.value)]
    number = lists.page_number(request.GET.get("page", ""))
    begin = (number - 1) * lists.PER_PAGE
    shown = chosen[begin : begin + lists.PER_PAGE]
    rows = watchlist_rows.series_rows(shown, found.symbols.all())
    page = lists.ListPage(
        rows=rows, number=number, count=len(chosen), has_next=begin + len(shown) < len(chosen)
    )
    context = {
        "watchlist": found,
        "n_symbols": found.symbols.count(),
        "n_series": len(states),
        "counts": counts,
        "state": state,
        "page": page,
        "rows": rows,
        "values": values,
        "symbols": symbols,
        "may_change": is_allowed(request.user, MAY_WATCH),
        "previous": lists.address(request, page=number - 1),
        "next": lists.address(request, page=number + 1),
    }
    is_refused = bool(values.errors or symbols.errors)
    return render(request, "watchlist.html", context, status=400 if is_refused else 200)


def _create(request: HttpRequest, form: WatchlistForm) -> Watchlist | None:
    """Make the list of a valid form; None where the form has errors."""
    _require_change(request)
    if form.is_valid():
        try:
            made = lists_of_symbols.create_watchlist(**form.cleaned_data, **_actor(request))
        except DatasetsError as error:
            form.add_refusal(error)
        else:
            messages.success(request, f"The list {made.name} is made. Add its symbols now.")
            return made
    return None


def _add(request: HttpRequest, found: Watchlist, form: SymbolsForm) -> HttpResponse | None:
    """Add the symbols of the form; None where the form has errors."""
    if form.is_valid():
        try:
            new = watch_symbols(found, form.entries(), **_actor(request))
        except DatasetsError as error:
            form.add_refusal(error)
        else:
            _say_added(request, found, len(new), n_unchecked=sum(bool(row.problem) for row in new))
            return HttpResponseRedirect(request.get_full_path())
    return None


def _change(request: HttpRequest, found: Watchlist, form: WatchlistForm) -> HttpResponse | None:
    """Change the values of the list; None where the form has errors."""
    if form.is_valid():
        try:
            lists_of_symbols.change_watchlist(found, **form.cleaned_data, **_actor(request))
        except DatasetsError as error:
            form.add_refusal(error)
        else:
            messages.success(request, f"The list {found.name} is changed.")
            return HttpResponseRedirect(request.get_full_path())
    return None


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
            _remove(request, found, primary_key(request.POST.get("symbol", "")))
        case "delete" if "confirmed" not in request.POST:
            return render(request, "watchlist_delete.html", {"watchlist": found})
        case "delete":
            lists_of_symbols.delete_watchlist(found, **actor)
            messages.success(request, f"The list {found.name} is deleted; its bars stay.")
            return redirect("watchlists")
        case _:
            raise PermissionDenied
    return HttpResponseRedirect(request.get_full_path())


def _remove(request: HttpRequest, found: Watchlist, number: int) -> None:
    row = found.symbols.filter(pk=number).first()
    if row is None:
        messages.warning(request, "That symbol is not in the list any more.")
        return
    entry = lists_of_symbols.SymbolEntry(row.exchange, row.symbol)
    lists_of_symbols.remove_symbols(found, [entry], **_actor(request))
    messages.success(request, f"{row} is removed from the list; its bars stay.")


def _add_one(request: HttpRequest, form: OneSymbolForm) -> HttpResponse | None:
    """Add the symbol to the chosen list, or to a new one; None where the form has errors."""
    if not form.is_valid():
        return None
    values = form.cleaned_data
    name, timeframe = values["watchlist"] or values["new_name"], values["timeframe"] or "1D"
    try:
        entries = lists_of_symbols.read_symbols(values["symbol"])
        if values["watchlist"]:
            found = lists_of_symbols.find_watchlist(name)
            new = watch_symbols(found, entries, **_actor(request))
        else:
            problems = check_symbols(entries)
            found, new = lists_of_symbols.save_watchlist(
                name, entries, problems=problems, timeframes=[timeframe], **_actor(request)
            )
    except DatasetsError as error:
        form.add_refusal(error)
        return None
    _say_added(request, found, len(new), n_unchecked=sum(bool(row.problem) for row in new))
    return redirect("watchlist", found.pk)


def _say_added(request: HttpRequest, found: Watchlist, number: int, *, n_unchecked: int) -> None:
    if not number:
        messages.warning(request, f"The list {found.name} has these symbols already.")
        return
    symbols = "1 symbol is" if number == 1 else f"{number:,} symbols are"
    messages.success(request, f"{symbols} added to {found.name}.")
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
