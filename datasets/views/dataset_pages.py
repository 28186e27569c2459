"""The pages of the catalog: the list of datasets, and one dataset with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Case, F, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_http_methods, require_safe

from datasets.bars import Timeframe
from datasets.catalog import lists
from datasets.errors import InvalidRequest, StoreError, StoreFailed, StoreUnavailable
from datasets.formats import FORMATS
from datasets.models import Dataset, Fetch
from datasets.serving.permissions import Scope, is_allowed, strangers_may
from datasets.views import sparklines, staff_actions, wording
from datasets.views.snippets import chart_address, snippets

# What a list can be ordered by, and how: the name in the address and the columns.
_ORDERS: dict[str, list[Any]] = {
    "symbol": ["symbol", "exchange"],
    "timeframe": [lists.by_length()],
    "bars": ["n_rows"],
    "last": ["last_time"],
    "fetched": ["fetched_at"],
    "size": ["bytes"],
    # As `wording.flaws_of` tells of them: bars that are wrong, odd, or missing, a bar that is not final.
    "quality": [
        F("n_duplicates") + F("n_inconsistent"),
        Case(When(doubts={}, then=Value(0)), default=Value(1)),
        Case(When(is_limited=True, n_rows__lt=F("n_bars"), then=Value(1)), default=Value(0)),
        Case(When(last_bar_final=False, then=Value(1)), default=Value(0)),
    ],
    "hits": ["hits"],
}
_USUAL_ORDER = "-fetched"
_COLUMNS = [
    ("symbol", "Symbol"), ("", "Closes"), ("timeframe", "Timeframe"), ("bars", "Bars"), ("last", "Range, UTC"),
    ("fetched", "Age"), ("size", "Size"), ("quality", "Quality"), ("hits", "Served"),
]  # fmt: skip
# Read first with the largest on top; names and lengths the other way round.
_LARGEST_FIRST = {"bars", "last", "fetched", "size", "quality", "hits"}
_MAX_EXCHANGES = 300
# Files of bars alone come before JSON.
_DOWNLOADS = [
    (row.name, row.label)
    for row in sorted(FORMATS.values(), key=lambda row: row.has_envelope)
    if row.label
]
_ACTIONS = [
    ("fetch", "Fetch again", "Fetch the bars again now"),
    ("invalidate", "Invalidate", "Fetch the bars again when they are next asked for"),
    ("delete", "Delete", "Forget the dataset and move its file to the trash"),
]
_YEAR_S = 365 * 86_400


class TimeframeField(forms.ChoiceField):
    """A timeframe in any accepted spelling; the value is the canonical one."""

    def to_python(self, value: Any) -> str:
        return _canonical(super().to_python(value))

    def prepare_value(self, value: Any) -> str:
        return _canonical(value or "")


class CatalogFilter(forms.Form):
    """What the list of datasets can be narrowed by; empty is everything."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    exchange = forms.ChoiceField(required=False)
    timeframe = TimeframeField(
        required=False, choices=[("", "Any"), *((t.value, t.label) for t in Timeframe)]
    )
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Dataset.State.choices])
    source = forms.ChoiceField(required=False, choices=[("", "Any"), *wording.SOURCES.items()])
    pinned = forms.ChoiceField(required=False, choices=[("", "Any"), ("1", "Pinned"), ("0", "Not")])

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        exchanges = Dataset.objects.order_by("exchange").values_list("exchange", flat=True)
        names = [name for name in exchanges.distinct()[:_MAX_EXCHANGES] if name]
        self.fields["exchange"].choices = [("", "Any"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def rows(self) -> QuerySet[Dataset]:
        """Return the datasets that are asked for; none when a filter says what there is not."""
        rows = Dataset.objects.all()
        if not self.is_valid():
            return rows.none()
        for name in ("exchange", "timeframe", "state", "source"):
            if wanted := self.cleaned_data[name]:
                rows = rows.filter(**{name: wanted})
        if pinned := self.cleaned_data["pinned"]:
            rows = rows.filter(is_pinned=pinned == "1")
        return lists.search(rows, self.cleaned_data["q"])

    def problems(self) -> list[str]:
        """Return a sentence for each filter that says what there is not."""
        return [f"{name}: {' '.join(map(str, texts))}" for name, texts in self.errors.items()]

    def is_narrowed(self) -> bool:
        """Return whether anything is filtered at all."""
        return any(self.data.get(name) for name in self.fields)


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, and the address that orders the list by it."""

    name: str
    label: str
    address: str
    direction: str


@require_http_methods(["GET", "HEAD", "POST"])
def datasets(request: HttpRequest) -> HttpResponse:
    """The list of datasets; a POST is what staff do to the chosen ones."""
    if request.method == "POST":
        chosen = [int(pk) for pk in request.POST.getlist("dataset") if _is_number(pk)]
        return _act(request, list(Dataset.objects.filter(pk__in=chosen[: lists.PER_PAGE])))
    wanted = CatalogFilter(request.GET)
    sort = request.GET.get("sort", "")
    if sort.removeprefix("-") not in _ORDERS:
        sort = _USUAL_ORDER
    page = lists.page_of(
        wanted.rows(), order=_order(sort), number=lists.page_number(request.GET.get("page", ""))
    )
    context = {
        "filter": wanted,
        "page": page,
        "rows": [_row(request, dataset) for dataset in page.rows],
        "columns": [_column(request, name, label, sort) for name, label in _COLUMNS],
        "sort": "" if sort == _USUAL_ORDER else sort,
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
        "actions": _actions(request),
    }
    return render(request, "datasets.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """One dataset: what it looks like, where it comes from, how good it is."""
    try:
        found = get_object_or_404(Dataset, pk=pk)
    except (Http404, OverflowError):
        return render(request, "dataset_missing.html", {"number": pk}, status=404)
    if request.method == "POST":
        return _act(request, [found])
    row = _row(request, found)
    context = row | {
        "state_means": wording.STATES[Dataset.State(found.state)],
        "facts": wording.facts_of(found.instrument),
        "largest_gap": wording.span_in_words(found.largest_gap_s)
        if found.largest_gap_s
        else "none",
        "doubts": wording.doubts_of(found),
        "zero_share": f"{found.zero_volume_share or 0:.1%}",
        "fetches": [
            (fetch, wording.outcome_of(fetch))
            for fetch in Fetch.objects.filter(**found.key.as_dict())[:10]
        ],
        "actions": _actions(request),
        "needs_token": not strangers_may(Scope.READ),
    }
    return render(request, "dataset.html", context)


@require_safe
def sparkline(request: HttpRequest, pk: int) -> HttpResponse:
    """The drawing of a dataset's closes, kept by the browser as long as the bars are the same."""
    found = get_object_or_404(Dataset.objects.defer("instrument"), pk=pk)
    try:
        # A broken file is told of in the list; in the place of its drawing nothing is shown.
        drawn = sparklines.sparkline(found)
    except (StoreError, StoreFailed, StoreUnavailable) as error:
        raise Http404 from error
    unchanged = get_conditional_response(request, etag=drawn.etag)
    response = unchanged or HttpResponse(drawn.body, content_type="image/svg+xml")
    response["ETag"] = drawn.etag
    # An address that names the content means the same for ever.
    is_named = request.GET.get("v") == found.content_hash[:12]
    response["Cache-Control"] = (
        f"private, max-age={_YEAR_S}, immutable" if is_named else "private, no-cache"
    )
    return response


def _act(request: HttpRequest, chosen: list[Dataset]) -> HttpResponse:
    """Do what the form says to the chosen datasets, and show the same page again."""
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
    # The page of a dataset that was deleted is not there any more.
    is_there = Dataset.objects.filter(pk=chosen[0].pk).exists()
    return HttpResponseRedirect(request.get_full_path() if is_there else reverse("datasets"))


def _actions(request: HttpRequest) -> list[tuple[str, str, str]]:
    """Return name, label and hint of each action that the user may do on the pages."""
    return [
        (name, label, hint)
        for name, label, hint in _ACTIONS
        if is_allowed(request.user, staff_actions.ACTIONS[name].permission)
    ]


def _row(request: HttpRequest, found: Dataset) -> dict[str, Any]:
    site = f"{request.scheme}://{request.get_host()}"
    return {
        "dataset": found,
        "full_symbol": found.key.full_symbol,
        "timeframe": found.key.timeframe.label,
        "description": found.instrument.get("description", ""),
        "has_file": found.state in Dataset.ON_DISK,
        "source": wording.SOURCES.get(found.source, found.source),
        "age": wording.age_in_words(found.fetched_at),
        "bars": f"{found.n_rows:,}",
        "size": wording.size_in_words(found.bytes),
        "flaws": wording.flaws_of(found),
        "chart": chart_address(found),
        "snippets": snippets(found, site=site),
        "downloads": _DOWNLOADS,
    }


def _canonical(timeframe: str) -> str:
    """Return the canonical spelling, or the text itself where it is no timeframe."""
    try:
        return Timeframe.parse(timeframe).value
    except InvalidRequest:
        return timeframe


def _order(sort: str) -> list[Any]:
    columns = _ORDERS[sort.removeprefix("-")]
    expressions = [F(column) if isinstance(column, str) else column for column in columns]
    if sort.startswith("-"):
        return [*(expression.desc() for expression in expressions), "-pk"]
    return [*(expression.asc() for expression in expressions), "pk"]


def _column(request: HttpRequest, name: str, label: str, sort: str) -> Column:
    if not name:
        return Column(name, label, "", "")
    if sort.removeprefix("-") == name:
        is_down = sort.startswith("-")
        other = name if is_down else f"-{name}"
        return Column(
            name,
            label,
            lists.address(request, sort=other),
            "descending" if is_down else "ascending",
        )
    first = f"-{name}" if name in _LARGEST_FIRST else name
    return Column(name, label, lists.address(request, sort=first), "")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
