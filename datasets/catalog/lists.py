"""Lists of rows in pages, equally fast with 50 and with 100,000 rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, IntegerField, Model, QuerySet, Value, When
from django.http import HttpRequest

from datasets.bars import Timeframe
from datasets.models import rows_with_word

Row = TypeVar("Row", bound=Model)

# Longer lists show "more than 5,000": counting all rows would cost more than showing 50.
COUNTED = 5_000
PER_PAGE = 50
# No list is this long, and a larger page would give an offset that databases refuse.
_LAST_PAGE = 1_000_000
# The columns of datasets and of series in which a search looks.
SEARCHED = ("symbol", "exchange", "instrument__description")


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list, with the page's place in the list and the number of rows."""

    rows: list[Any]
    number: int
    # The number of rows up to `COUNTED`; `COUNTED` + 1 means that there are more.
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
        """The number of rows as a text, or "more than" with the number counted."""
        return f"more than {COUNTED:,}" if self.count > COUNTED else f"{self.count:,}"


def page_number(text: str) -> int:
    """Return the page number in an address; 1 if the text is no page number."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1
    return min(max(number, 1), _LAST_PAGE)


def address(request: HttpRequest, *, page: int = 1, **changes: str) -> str:
    """Return the address of the list in `request`, with another page or other query parameters."""
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in changes.items():
        query[name] = value
    if page > 1:
        query["page"] = str(page)
    for name in [name for name, value in query.items() if not value]:
        del query[name]
    return f"?{query.urlencode()}" if query else request.path


def page_of(
    rows: QuerySet[Any],
    *,
    order: list[Any],
    number: int,
    related: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> ListPage:
    """Return page `number` of the rows, in two queries; a third counts the rows of a longer list.

    The second query also reads the rows that the foreign keys `related` name, and leaves out the columns `without`. The first query sorts the primary keys alone: sorting whole rows would carry their JSON along.
    """
    start = (number - 1) * PER_PAGE
    numbers = list(rows.order_by(*order).values_list("pk", flat=True)[start : start + PER_PAGE + 1])
    shown, has_next = numbers[:PER_PAGE], len(numbers) > PER_PAGE
    is_whole = number == 1 and not has_next
    count = len(shown) if is_whole else rows.order_by()[: COUNTED + 1].count()
    whole = rows.model._default_manager.all()
    found = (whole.select_related(*related) if related else whole).defer(*without).in_bulk(shown)
    return ListPage(
        # A row may have been deleted between the two queries.
        rows=[found[pk] for pk in shown if pk in found],
        number=number,
        count=count,
        has_next=has_next,
    )


def search(rows: QuerySet[Row], text: str, columns: tuple[str, ...] = SEARCHED) -> QuerySet[Row]:
    """Return the rows that contain each word of the text in one of the columns; a colon separates words."""
    for word in text.replace(":", " ").split():
        rows = rows_with_word(rows, word, columns)
    return rows


def by_length() -> Case:
    """Return an expression that orders rows by the length of their bars.

    The column itself would be ordered by spelling: `15`, `1D`, `30`.
    """
    lengths = [When(timeframe=t.value, then=Value(place)) for place, t in enumerate(Timeframe)]
    return Case(*lengths, output_field=IntegerField())
