"""The pages of the catalog: the list of datasets, and the page of one dataset."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.html import format_html_join
from django.views.decorators.http import require_http_methods, require_safe

from datasets.bars import Adjustment, Timeframe
from datasets.catalog import lists
from datasets.errors import StoreError, StoreFailed, StoreUnavailable
from datasets.models import Dataset, Fetch
from datasets.serving.permissions import Scope, strangers_may
from datasets.views import dataset_list, phrases, sparklines, staff_actions
from datasets.views.downloads import FORMAT_LINKS
from datasets.views.form_values import primary_key
from datasets.views.key_lists import badges_of, times_of
from datasets.views.page_data import script_data
from datasets.views.snippets import chart_address, snippets

_YEAR_S = 365 * 86_400


@require_http_methods(["GET", "HEAD", "POST"])
def datasets(request: HttpRequest) -> HttpResponse:
    """Show the list of datasets; a POST does an action of staff to the chosen rows."""
    if request.method == "POST":
        chosen = [primary_key(text) for text in request.POST.getlist("dataset")]
        return _act(request, list(Dataset.objects.filter(pk__in=chosen[: lists.PER_PAGE])))
    narrowed = dataset_list.CatalogFilter(request.GET)
    columns = dataset_list.COLUMNS
    sort = columns.sort_of(request)
    page = lists.page_of(
        narrowed.rows(),
        order=columns.order_by(sort),
        number=lists.page_number(request.GET.get("page", "")),
        related=("series",),
        without=("series__instrument",),
    )
    context = {
        "filter": narrowed,
        "page": page,
        "rows": [_list_row(request, dataset) for dataset in page.rows],
        "columns": columns.shown(request, sort),
        "sort": "" if sort == columns.usual else sort,
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
        "actions": _actions(request),
    }
    return render(request, "datasets.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one dataset: its bars, their source and their quality."""
    try:
        found = get_object_or_404(Dataset, pk=pk)
    except (Http404, OverflowError):
        return render(request, "dataset_missing.html", {"number": pk}, status=404)
    if request.method == "POST":
        return _act(request, [found])
    row = _row(request, found)
    context = row | {
        "state_means": phrases.STATES[Dataset.State(found.state)],
        "facts": phrases.facts_of(found.instrument),
        "largest_gap": phrases.gap_in_words(found),
        "doubts": phrases.doubts_of(found),
        "zero_share": f"{found.zero_volume_share or 0:.1%}",
        "gaps": phrases.gaps_of(found),
        "fetches": [
            (fetch, phrases.outcome_of(fetch))
            for fetch in Fetch.objects.filter(**found.key.as_dict())[:10]
        ],
        "actions": _actions(request),
        "needs_token": not strangers_may(Scope.READ),
        "script_data": script_data(),
    }
    return render(request, "dataset.html", context)


@require_safe
def sparkline(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the drawing of a dataset's closes; the browser keeps it while the bars stay the same."""
    found = get_object_or_404(Dataset.objects.defer("instrument"), pk=pk)
    try:
        # The list names a broken file itself, so the place of its drawing stays empty.
        drawn = sparklines.sparkline(found)
    except (StoreError, StoreFailed, StoreUnavailable) as error:
        raise Http404 from error
    unchanged = get_conditional_response(request, etag=drawn.etag)
    response = unchanged or HttpResponse(drawn.body, content_type="image/svg+xml")
    response["ETag"] = drawn.etag
    # An address with the content hash always means the same drawing.
    is_named = request.GET.get("v") == found.content_hash[:12]
    response["Cache-Control"] = (
        f"private, max-age={_YEAR_S}, immutable" if is_named else "private, no-cache"
    )
    return response


def _act(request: HttpRequest, chosen: list[Dataset]) -> HttpResponse:
    """Do the form's action to the chosen datasets, and show the same page again."""
    name = request.POST.get("action", "")
    action, _ = staff_actions.find_action(request.user, name)
    if not chosen:
        messages.warning(request, "Choose at least one dataset first.")
        return HttpResponseRedirect(request.get_full_path())
    if action.must_ask(len(chosen)) and "confirmed" not in request.POST:
        context = {"action": name, "question": action.question, "chosen": chosen}
        return render(request, "confirm.html", context)
    done = staff_actions.act(request.user, name, chosen, via="page")
    messages.success(request, done.sentence)
    for sentence in done.problems:
        messages.error(request, sentence)
    # A deleted dataset has no page any more.
    is_there = Dataset.objects.filter(pk=chosen[0].pk).exists()
    return HttpResponseRedirect(request.get_full_path() if is_there else reverse("datasets"))


def _actions(request: HttpRequest) -> list[tuple[str, str, str]]:
    """Return name, label and hint of each action that the user may do on the pages."""
    allowed = staff_actions.allowed_actions(request.user)
    return [(name, row.label, row.hint) for name, row in allowed.items() if row.is_on_pages]


def _list_row(request: HttpRequest, found: Dataset) -> dict[str, Any]:
    """Return what the list shows of a dataset; as texts, because tags and filters take most of a page's time."""
    bars = reverse("api-dataset-bars", args=[found.pk])
    return (
        _row(request, found)
        | times_of(found)
        | {
            "pk": str(found.pk),
            "name": str(found),
            "page": reverse("dataset", args=[found.pk]),
            "sparkline": f"{reverse('sparkline', args=[found.pk])}?v={found.content_hash[:12]}",
            "series_page": reverse("series", args=[found.series_id]) if found.series_id else "",
            "badges": badges_of(found),
            "flaws_in_words": ", ".join(phrases.flaws_of(found)),
            "hits": str(found.hits),
            "downloads": format_html_join(
                "",
                '<a href="{}?format={}" download>{}</a>',
                ((bars, name, label) for name, label in FORMAT_LINKS),
            ),
        }
    )


def _row(request: HttpRequest, found: Dataset) -> dict[str, Any]:
    site = f"{request.scheme}://{request.get_host()}"
    return {
        "dataset": found,
        "full_symbol": found.full_symbol,
        "timeframe": Timeframe(found.timeframe).label,
        "description": found.instrument.get("description", ""),
        "has_file": found.state in Dataset.ON_DISK,
        "source": phrases.SOURCES.get(found.source, found.source),
        "adjustment": phrases.ADJUSTMENTS[Adjustment(found.adjustment)].lower(),
        "age": phrases.age_in_words(found.fetched_at),
        "bars": f"{found.n_rows:,}",
        "bars_of_series": f"{found.series.n_rows:,}" if found.series else "",
        "size": phrases.size_in_words(found.bytes),
        "flaws": phrases.flaws_of(found),
        "chart": chart_address(found),
        "snippets": snippets(found, site=site),
        "downloads": FORMAT_LINKS,
    }
