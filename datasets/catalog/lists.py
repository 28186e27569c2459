"""Lists of rows in pages: as quick with 100,000 rows as with 50."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest

from datasets.bars import Timeframe
from datasets.models import Dataset

# Beyond so many rows a list says "more than": counting them all would cost more than showing 50.
COUNTED = 5_000
PER_PAGE = 50
# What no list is long enough for, and no database takes for an offset.
_LAST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list, and what there is before and after it."""

    rows: list[Any]
    number: int
    # Up to `COUNTED`; one more means that there are more than that.
    count: int
    has_next: bool

    @property
    def first(self) -> int:
        """The place of the first row in the whole list, from 1."""
        return (self.number - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def has_previous(self) -> bool:
        return self.number > 1

    @property
    def total(self) -> str:
        """How many rows there are in all, as far as they were counted."""
        return f"more than {COUNTED:,}" if self.count > COUNTED else f"{self.count:,}"


def page_number(text: str) -> int:
    """Return the page that an address names; anything that is no page is the first."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1
    return min(max(number, 1), _LAST_PAGE)


def address(request: HttpRequest, *, page: int = 1, **changes: str) -> str:
    """Return the address of the list that is shown, on another page or with something changed."""
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in changes.items():
        query[name] = value
    if page > 1:
        query["page"] = str(page)
    for name in [name for name, value in query.items() if not value]:
        del query[name]
    return f"?{query.urlencode()}" if query else request.path


def page_of(rows: QuerySet[Any], *, order: list[Any], number: int) -> ListPage:
    """Return one page of the rows, with two queries, and a third where the page does not tell the count.

    The numbers of the rows first: sorting whole rows would carry their JSON along.
    """
    start = (number - 1) * PER_PAGE
    numbers = list(rows.order_by(*order).values_list("pk", flat=True)[start : start + PER_PAGE + 1])
    shown, has_next = numbers[:PER_PAGE], len(numbers) > PER_PAGE
    found = rows.model._default_manager.in_bulk(shown)
    return ListPage(
        # One may have gone between the two queries.
        rows=[found[pk] for pk in shown if pk in found],
        number=number,
        count=_count(rows) if has_next or number > 1 else len(shown),
        has_next=has_next,
    )


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[: COUNTED + 1].count()


def search(rows: QuerySet[Dataset], text: str) -> QuerySet[Dataset]:
    """Return the rows that hold each word of the text in symbol, exchange or description."""
    for word in text.replace(":", " ").split():
        rows = rows.filter(
            Q(symbol__icontains=word)
            | Q(exchange__icontains=word)
            | Q(instrument__description__icontains=word)
        )
    return rows


def by_length() -> Case:
    """Return what orders rows by how long their bars are: their spellings do not."""
    lengths = [When(timeframe=t.value, then=Value(place)) for place, t in enumerate(Timeframe)]
    return Case(*lengths, output_field=IntegerField())
