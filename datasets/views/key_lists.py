"""Parts of the lists of datasets and of series: filters by the fields of a key, columns, and orders of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest

from datasets.bars import Adjustment, Session, Timeframe
from datasets.catalog import lists
from datasets.errors import InvalidRequest
from datasets.models import Dataset, Series, values_of
from datasets.views import phrases

_MAX_EXCHANGES = 300


class TimeframeField(forms.ChoiceField):
    """A timeframe in any accepted spelling; the cleaned value is the canonical spelling."""

    def to_python(self, value: Any) -> str:
        return _canonical(super().to_python(value))

    def prepare_value(self, value: Any) -> str:
        return _canonical(value or "")


class KeyFilter(forms.Form):
    """The filters by the fields of a key; an empty filter selects all rows of `model`."""

    model: type[Model]

    q = forms.CharField(required=False, max_length=100, label="Search")
    exchange = forms.ChoiceField(required=False)
    timeframe = TimeframeField(
        required=False, choices=[("", "Any"), *((t.value, t.label) for t in Timeframe)]
    )
    source = forms.ChoiceField(required=False, choices=[("", "Any"), *phrases.SOURCES.items()])

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        names = values_of(self.model, "exchange", _MAX_EXCHANGES)
        self.fields["exchange"].choices = [("", "Any"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def rows(self) -> QuerySet[Any]:
        """Return the rows that match all filters; none when a filter has an invalid value."""
        rows: QuerySet[Any] = self.model._default_manager.all()
        if not self.is_valid():
            return rows.none()
        for name in ("exchange", "timeframe", "source"):
            if wanted := self.cleaned_data[name]:
                rows = rows.filter(**{name: wanted})
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


@dataclass(frozen=True, slots=True)
class ListColumns:
    """The columns of a list, and the orders of its rows.

    `orders` has the expressions of each order, by its name in the address. `headings` are name and
    label of each column; the rows cannot be ordered by a column without a name. The first click on
    a heading of `largest_first` puts the largest value on top. `usual` orders the list at first.
    """

    orders: Mapping[str, Sequence[Any]]
    headings: Sequence[tuple[str, str]]
    largest_first: frozenset[str]
    usual: str

    def sort_of(self, request: HttpRequest) -> str:
        """Return the name of the column that orders the list, with `-` in front for descending order."""
        sort = request.GET.get("sort", "")
        return sort if sort.removeprefix("-") in self.orders else self.usual

    def order_by(self, sort: str) -> list[Any]:
        """Return the expressions for `QuerySet.order_by`; the primary key comes last, so that no two rows are equal."""
        columns = self.orders[sort.removeprefix("-")]
        expressions = [F(column) if isinstance(column, str) else column for column in columns]
        if sort.startswith("-"):
            return [*(expression.desc() for expression in expressions), "-pk"]
        return [*(expression.asc() for expression in expressions), "pk"]

    def shown(self, request: HttpRequest, sort: str) -> list[Column]:
        """Return the columns of the list, which `sort` orders now."""
        found = []
        for name, label in self.headings:
            is_sorted = name == sort.removeprefix("-")
            is_descending = is_sorted and sort.startswith("-")
            # The heading of the column that orders the list turns the order round.
            next_descending = not is_descending if is_sorted else name in self.largest_first
            next_sort = f"-{name}" if next_descending else name
            found.append(
                Column(
                    name,
                    label,
                    address=lists.address(request, sort=next_sort) if name in self.orders else "",
                    direction=("descending" if is_descending else "ascending") if is_sorted else "",
                )
            )
        return found


def badges_of(row: Dataset | Series) -> list[tuple[str, str]]:
    """Return classes and text of each badge of a row: what differs from most rows."""
    badges = []
    if isinstance(row, Dataset):
        if row.state != Dataset.State.READY:
            badges.append((f"badge badge-{row.state}", row.state))
        if row.is_pinned:
            badges.append(("badge", "pinned"))
    if row.session != Session.REGULAR:
        badges.append(("badge", row.session))
    if row.adjustment != Adjustment.SPLITS:
        is_raw = row.adjustment == Adjustment.NONE
        badges.append(("badge", "not adjusted" if is_raw else row.adjustment))
    # A page of synthetic bars alone says so in its head.
    if row.source == "sample" and settings.TV_SOURCE != "sample":
        badges.append(("badge badge-sample", "synthetic"))
    return badges


def times_of(row: Dataset | Series) -> dict[str, str]:
    """Return the instants of a row as texts: a template's filter takes twenty times as long."""
    return {
        "first_day": f"{row.first_time:%Y-%m-%d}",
        "last_day": f"{row.last_time:%Y-%m-%d}",
        "fetched": row.fetched_at.isoformat(),
        "fetched_in_words": f"{row.fetched_at:%Y-%m-%d %H:%M:%S}",
    }


def _canonical(timeframe: str) -> str:
    """Return the canonical spelling of a timeframe; any other text is returned unchanged."""
    try:
        return Timeframe.parse(timeframe).value
    except InvalidRequest:
        return timeframe
