"""The list of series: its filter, its columns, and what each row shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from django import forms
from django.db.models import Count, Exists, Max, OuterRef, QuerySet

from datasets.catalog import lists
from datasets.models import Dataset, Revision, Series
from datasets.views.key_lists import KeyFilter, ListColumns

COLUMNS = ListColumns(
    orders={
        "symbol": ["symbol", "exchange"],
        "timeframe": [lists.by_length()],
        "bars": ["n_rows"],
        "last": ["last_time"],
        "fetched": ["fetched_at"],
        "size": ["bytes"],
    },
    headings=[
        ("symbol", "Symbol"), ("timeframe", "Timeframe"), ("bars", "Bars held"), ("older", "Older than the window"),
        ("last", "Range, UTC"), ("fetched", "Age"), ("size", "Size"), ("quality", "State"), ("hits", "Datasets"),
    ],
    largest_first=frozenset({"bars", "last", "fetched", "size"}),
    usual="-fetched",
)  # fmt: skip


class SeriesFilter(KeyFilter):
    """The filters of the list of series; an empty filter selects all rows."""

    model = Series
    field_order = ("q", "exchange", "timeframe", "source", "revisions")

    revisions = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), ("open", "To decide"), ("some", "Some"), ("none", "None")],
    )

    def rows(self) -> QuerySet[Any]:
        """Return the series that match all filters; none when a filter has an invalid value."""
        rows = super().rows()
        revisions = Revision.objects.filter(series=OuterRef("pk"))
        match self.cleaned_data.get("revisions"):
            case "open":
                return rows.filter(Exists(revisions.filter(state=Revision.State.OPEN)))
            case "some":
                return rows.filter(Exists(revisions))
            case "none":
                return rows.filter(~Exists(revisions))
        return rows


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers about several series, by primary key: open revisions, datasets, the largest dataset."""

    open_revisions: dict[int, int]
    datasets: dict[int, int]
    largest: dict[int, int]

    @classmethod
    def of(cls, series: list[Series]) -> Self:
        """Count for all series in two queries."""
        numbers = [each.pk for each in series]
        revisions = Revision.objects.filter(series__in=numbers, state=Revision.State.OPEN)
        datasets = list(
            Dataset.objects.filter(series__in=numbers, state=Dataset.State.READY)
            .order_by()
            .values_list("series")
            .annotate(Count("pk"), Max("n_bars"))
        )
        return cls(
            dict(revisions.order_by().values_list("series").annotate(Count("pk"))),
            {number: count for number, count, _ in datasets},
            {number: largest for number, _, largest in datasets},
        )
