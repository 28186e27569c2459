"""The list of datasets: its filter, its columns, and the order of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Case, F, QuerySet, Value, When
from django.http import HttpRequest

from datasets.bars import Timeframe
from datasets.calendars import MISSING
from datasets.catalog import lists
from datasets.errors import InvalidRequest
from datasets.models import Dataset
from datasets.views import phrases

# Names of orders, as the address spells them, and the columns of the table of datasets.
_ORDERS: dict[str, list[Any]] = {
    "symbol": ["symbol", "exchange"],
    "timeframe": [lists.by_length()],
    "bars": ["n_rows"],
    "last": ["last_time"],
    "fetched": ["fetched_at"],
    "size": ["bytes"],
    # The same flaws as in `phrases.flaws_of`: bars that are wrong, odd or missing.
    "quality": [
        F("n_duplicates") + F("n_inconsistent"),
        Case(When(doubts={}, then=Value(0)), default=Value(1)),
        Case(When(is_limited=True, n_rows__lt=F("n_bars"), then=Value(1)), default=Value(0)),
        Case(When(coverage__counts__has_any_keys=MISSING, then=Value(1)), default=Value(0)),
    ],
    "hits": ["hits"],
}
USUAL_ORDER = "-fetched"
_COLUMNS = [
    ("symbol", "Symbol"), ("", "Closes"), ("timeframe", "Timeframe"), ("bars", "Bars"), ("last", "Range, UTC"),
    ("fetched", "Age"), ("size", "Size"), ("quality", "Quality"), ("hits", "Served"),
]  # fmt: skip
# The first click on these headings puts the largest value on top.
_LARGEST_FIRST = {"bars", "last", "fetched", "size", "quality", "hits"}
_MAX_EXCHANGES = 300


class TimeframeField(forms.ChoiceField):
    """A timeframe in any accepted spelling; the cleaned value is the canonical spelling."""

    def to_python(self, value: Any) -> str:
        return _canonical(super().to_python(value))

    def prepare_value(self, value: Any) -> str:
        return _canonical(value or "")


class CatalogFilter(forms.Form):
    """The filters of the list of datasets; an empty filter selects all rows."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    exchange = forms.ChoiceField(required=False)
    timeframe = TimeframeField(
        required=False, choices=[("", "Any"), *((t.value, t.label) for t in Timeframe)]
    )
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Dataset.State.choices])
    source = forms.ChoiceField(required=False, choices=[("", "Any"), *phrases.SOURCES.items()])
    pinned = forms.ChoiceField(required=False, choices=[("", "Any"), ("1", "Pinned"), ("0", "Not")])

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        exchanges = Dataset.objects.order_by("exchange").values_list("exchange", flat=True)
        names = [name for name in exchanges.distinct()[:_MAX_EXCHANGES] if name]
        self.fields["exchange"].choices = [("", "Any"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def rows(self) -> QuerySet[Dataset]:
        """Return the datasets that match all filters; none when a filter has an invalid value."""
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
        """Return a sentence for each filter with an invalid value."""
        return [f"{name}: {' '.join(map(str, texts))}" for name, texts in self.errors.items()]

    def is_narrowed(self) -> bool:
        """Return whether any filter is set."""
        return any(self.data.get(name) for name in self.fields)


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, and the address that orders the list by this column."""

    name: str
    label: str
    address: str
    direction: str


def sort_of(request: HttpRequest) -> str:
    """Return the name of the column that orders the list, with `-` in front for descending order."""
    sort = request.GET.get("sort", "")
    return sort if sort.removeprefix("-") in _ORDERS else USUAL_ORDER


def order_by(sort: str) -> list[Any]:
    """Return the expressions for `QuerySet.order_by`; the primary key comes last, so that no two rows are equal."""
    columns = _ORDERS[sort.removeprefix("-")]
    expressions = [F(column) if isinstance(column, str) else column for column in columns]
    if sort.startswith("-"):
        return [*(expression.desc() for expression in expressions), "-pk"]
    return [*(expression.asc() for expression in expressions), "pk"]


def columns(request: HttpRequest, sort: str) -> list[Column]:
    """Return the columns of the list, which `sort` orders now."""
    found = []
    for name, label in _COLUMNS:
        is_sorted = name == sort.removeprefix("-")
        is_descending = is_sorted and sort.startswith("-")
        # The heading of the column that orders the list turns the order round.
        next_descending = not is_descending if is_sorted else name in _LARGEST_FIRST
        next_sort = f"-{name}" if next_descending else name
        found.append(
            Column(
                name,
                label,
                address=lists.address(request, sort=next_sort) if name else "",
                direction=("descending" if is_descending else "ascending") if is_sorted else "",
            )
        )
    return found


def _canonical(timeframe: str) -> str:
    """Return the canonical spelling of a timeframe; any other text is returned unchanged."""
    try:
        return Timeframe.parse(timeframe).value
    except InvalidRequest:
        return timeframe
