"""The pages of the archive: the list of series, the page of one series, and the files of its bars."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from datasets import serving
from datasets.archive.series_rows import folder_of
from datasets.catalog import lists
from datasets.errors import DatasetsError, StoreError, StoreFailed, StoreUnavailable
from datasets.models import Dataset, Series, database
from datasets.serving.permissions import MAY_FETCH_AGAIN, is_allowed
from datasets.views import phrases
from datasets.views.form_values import primary_key
from datasets.views.key_lists import badges_of, times_of
from datasets.views.series import revision_actions, series_facts, series_list
from datasets.views.snippets import chart_address
from datasets.watchlists.freshness import series_freshness


@require_safe
def series_of_archive(request: HttpRequest) -> HttpResponse:
    """Show the list of series."""
    narrowed = series_list.SeriesFilter(request.GET)
    columns = series_list.COLUMNS
    sort = columns.sort_of(request)
    page = lists.page_of(
        narrowed.rows(),
        order=columns.order_by(sort),
        number=lists.page_number(request.GET.get("page", "")),
        related=("schedule",),
    )
    counts, now = series_list.Counts.of(page.rows), database.shared_now()
    context = {
        "filter": narrowed,
        "page": page,
        "rows": [_list_row(series, counts, now) for series in page.rows],
        "columns": columns.shown(request, sort),
        "sort": "" if sort == columns.usual else sort,
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
        "max_bars": f"{settings.TV_MAX_BARS:,}",
    }
    return render(request, "series_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def series(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one series: the bars that are held, the datasets that are views of it, and its revisions.

    A POST does an action of staff: to one revision, or to the series.
    """
    try:
        found = get_object_or_404(Series, pk=pk)
    except (Http404, OverflowError):
        return render(request, "series_missing.html", {"number": pk}, status=404)
    if request.method == "POST":
        return _act(request, found)
    page = lists.page_of(
        found.revisions.all(),
        order=["-found_at", "-pk"],
        number=lists.page_number(request.GET.get("page", "")),
    )
    actions = revision_actions.allowed_actions(request.user)
    context = _row(found, series_list.Counts.of([found]), database.shared_now()) | series_facts.archive_facts(found) | {
        "held": phrases.held_in_words(found, settings.TV_MAX_BARS),
        "facts": phrases.facts_of(found.instrument),
        "page": page,
        "revisions": [
            (revision, phrases.revision_in_words(revision, with_names=request.user.is_staff))
            for revision in page.rows
        ],
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
        "datasets": [
            (dataset, f"{dataset.n_rows:,}")
            for dataset in Dataset.objects.filter(series=found).defer("instrument").order_by("n_bars")
        ],
        "actions": [(name, row.label, row.hint) for name, row in actions.items() if row.is_on_pages],
        "may_refresh": found.source == settings.TV_SOURCE and is_allowed(request.user, MAY_FETCH_AGAIN),
    }  # fmt: skip
    return render(request, "series.html", context)


@require_safe
def series_file(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """Return a parquet file of the series' archive as it is."""
    found = get_object_or_404(Series, pk=pk)
    folder = folder_of(found.series_key)
    try:
        document = folder.document()
        names = [] if document is None else [entry.name for entry in document.files]
        if name not in names:
            raise Http404
        content = folder.files.content(name)
    except (StoreError, StoreFailed, StoreUnavailable) as error:
        raise Http404 from error
    return FileResponse(
        pa.BufferReader(content), as_attachment=True, filename=f"{folder.path.name}_{name}"
    )


def _act(request: HttpRequest, found: Series) -> HttpResponse:
    """Do the form's action, and show the page again."""
    name = request.POST.get("action", "")
    if "revision" not in request.POST:
        if name != "refresh" or not is_allowed(request.user, MAY_FETCH_AGAIN):
            raise PermissionDenied
        try:
            serving.refresh_series(found, via="page", by=request.user.get_username())
        except DatasetsError as error:
            _say(request, "", [str(error)])
        else:
            queued = f"{found} is queued: the fetch requests the bars since the newest one."
            _say(request, queued, [])
        return HttpResponseRedirect(request.get_full_path())
    number = primary_key(request.POST["revision"])
    chosen = list(found.revisions.filter(pk=number).select_related("series"))
    done = revision_actions.act(request.user, name, chosen, via="page")
    if chosen:
        _say(request, done.sentence if not done.problems else "", done.problems)
    else:
        _say(request, "", ["There is no such revision."])
    return HttpResponseRedirect(request.get_full_path())


def _say(request: HttpRequest, sentence: str, problems: list[str]) -> None:
    if sentence:
        messages.success(request, sentence)
    for problem in problems:
        messages.error(request, problem)


def _list_row(found: Series, counts: series_list.Counts, now: datetime) -> dict[str, Any]:
    """Return what the list shows of a series; as texts, because tags and filters take most of a page's time."""
    row = _row(found, counts, now)
    freshness = row.pop("freshness")
    return row | times_of(found) | {
        "pk": str(found.pk),
        "page": reverse("series", args=[found.pk]),
        "badges": badges_of(found),
        "flaws_in_words": ", ".join(row["flaws"]),
        "fresh_state": freshness.state.value,
        "fresh_reason": freshness.reason,
        "fresh_summary": freshness.summary,
    }  # fmt: skip


def _row(found: Series, counts: series_list.Counts, now: datetime) -> dict[str, Any]:
    largest = counts.largest.get(found.pk, min(found.n_rows, settings.TV_MAX_BARS))
    n_open = counts.open_revisions.get(found.pk, 0)
    freshness = series_freshness(found, now)
    return series_facts.facts_of(found) | {
        "series": found,
        "older": series_facts.older_in_words(found, settings.TV_MAX_BARS),
        "n_open": n_open,
        "flaws": phrases.flaws_of_series(found, n_open),
        "freshness": freshness,
        "n_datasets": counts.datasets.get(found.pk, 0),
        "chart": chart_address(found.series_key.dataset(largest)),
    }
