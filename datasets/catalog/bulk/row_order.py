"""Rows after a place in a list that is ordered by several fields, found by the list's index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from django.db.models import F, Field, Model, OrderBy, Q, QuerySet

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Ordered:
    """One field of an order, with its direction; null is above every value, as in the indexes of PostgreSQL."""

    name: str
    is_falling: bool
    field: Field[Any, Any]

    @classmethod
    def of(cls, name: str, rows: QuerySet[Any]) -> Self:
        """Return the field or the annotation of `rows` with this name; a `-` in front is for descending order."""
        plain = name.removeprefix("-")
        computed = rows.query.annotations.get(plain)
        field = computed.output_field if computed else rows.model._meta.get_field(plain)
        assert isinstance(field, Field)
        return cls(plain, name.startswith("-"), field)

    def turned(self) -> Ordered:
        """Return the field in the other direction."""
        return replace(self, is_falling=not self.is_falling)

    def expression(self) -> OrderBy:
        """Return the expression for `QuerySet.order_by`."""
        nulls: dict[str, bool] = {}
        if self.field.null:
            nulls = {"nulls_first": True} if self.is_falling else {"nulls_last": True}
        return F(self.name).desc(**nulls) if self.is_falling else F(self.name).asc(**nulls)

    def read(self, value: Any) -> Any:
        """Return the field's value of a text or number; raise `ValidationError` or `ValueError` if it does not fit."""
        if value is None and not self.field.null:
            raise ValueError
        return self.field.to_python(value)

    def at(self, value: Any) -> Q:
        """Return the condition of the rows with this value."""
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})

    def after(self, value: Any) -> Q | None:
        """Return the condition of the rows behind this value; None where no row can be."""
        is_null = Q(**{f"{self.name}__isnull": True})
        if value is None:
            return ~is_null if self.is_falling else None
        if self.is_falling:
            return Q(**{f"{self.name}__lt": value})
        above = Q(**{f"{self.name}__gt": value})
        return above | is_null if self.field.null else above


def rows_after(
    rows: QuerySet[Any], order: list[Ordered], place: list[Any] | None, number: int
) -> list[Any]:
    """Return up to `number` rows in this order, those behind `place`; the first ones for None.

    One query for each field, from the last one to the first one, until there are enough rows: the rows that are equal
    in all fields but the last, then those that are equal in all but the last two. Each condition is a range of the
    index; one condition for all would have an OR, for which databases read the index from its beginning.
    """
    rows = rows.order_by(*(each.expression() for each in order))
    if place is None:
        return list(rows[:number])
    found: list[Any] = []
    for depth in range(len(order) - 1, -1, -1):
        behind = order[depth].after(place[depth])
        if len(found) < number and behind is not None:
            equal = Q(*(each.at(value) for each, value in zip(order[:depth], place, strict=False)))
            found += rows.filter(equal, behind)[: number - len(found)]
    return found


def in_pages(rows: QuerySet[Row], order: Sequence[str], size: int = 1_000) -> Iterator[Row]:
    """Yield the rows in this order, `size` of them in memory at a time; the fields together name one row.

    The rows may be changed or deleted meanwhile, and no statement lasts as long as the whole list: so a large list
    needs no cursor of the server, which a pool of connections would lose.
    """
    fields, place = [Ordered.of(name, rows) for name in order], None
    while page := rows_after(rows, fields, place, size):
        place = [getattr(page[-1], each.name) for each in fields]
        yield from page
