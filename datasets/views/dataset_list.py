"""The list of datasets: its filter, its columns, and the order of its rows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Case, F, QuerySet, Value, When

from datasets.calendars import MISSING
from datasets.catalog import lists
from datasets.models import Dataset
from datasets.views.key_lists import KeyFilter, ListColumns

COLUMNS = ListColumns(
    orders={
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
    },
    headings=[
        ("symbol", "Symbol"), ("", "Closes"), ("timeframe", "Timeframe"), ("bars", "Bars"), ("last", "Range, UTC"),
        ("fetched", "Age"), ("size", "Size"), ("quality", "Quality"), ("hits", "Served"),
    ],
    largest_first=frozenset({"bars", "last", "fetched", "size", "quality", "hits"}),
    usual="-fetched",
)  # fmt: skip


class CatalogFilter(KeyFilter):
    """The filters of the list of datasets; an empty filter selects all rows."""

    model = Dataset
    field_order = ("q", "exchange", "timeframe", "state", "source", "pinned")

    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Dataset.State.choices])
    pinned = forms.ChoiceField(required=False, choices=[("", "Any"), ("1", "Pinned"), ("0", "Not")])

    def rows(self) -> QuerySet[Any]:
        """Return the datasets that match all filters; none when a filter has an invalid value."""
        rows = super().rows()
        if state := self.cleaned_data.get("state"):
            rows = rows.filter(state=state)
        if pinned := self.cleaned_data.get("pinned"):
            rows = rows.filter(is_pinned=pinned == "1")
        return rows
