"""The text of a row that a search looks through, as the trigram indexes of PostgreSQL contain it."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connection
from django.db.models import CharField, F, Field, Func, Model, Q, QuerySet, TextField, Value
from django.db.models.functions import StrIndex, Upper
from django.db.models.lookups import GreaterThan, IContains

from datasets.models.audit_entry import AuditEntry
from datasets.models.dataset import Dataset
from datasets.models.fetch import Fetch
from datasets.models.series import Series

Row = TypeVar("Row", bound=Model)

_DESCRIPTION = "instrument__description"
# The columns of each model's index, in the order of the index (migration 0020).
_INDEXED: dict[type[Model], tuple[str, ...]] = {
    Dataset: ("exchange", "symbol", _DESCRIPTION),
    Series: ("exchange", "symbol", _DESCRIPTION),
    Fetch: ("exchange", "symbol", "requested_by"),
    AuditEntry: ("actor", "kind", "subject", "detail"),
}


class _Lines(Func):
    """The columns as one text, a line each; a word without white space never spans two lines."""

    template = "(%(expressions)s)"
    arg_joiner = " || E'\\n' || "
    output_field = TextField()


class _Description(Func):
    template = "COALESCE(%(expressions)s ->> 'description', '')"
    output_field = CharField()


def _text_of(columns: tuple[str, ...]) -> _Lines:
    parts: list[Any] = [
        _Description(F("instrument")) if name == _DESCRIPTION else F(name) for name in columns
    ]
    return _Lines(*parts)


def rows_with_word(rows: QuerySet[Row], word: str, columns: tuple[str, ...]) -> QuerySet[Row]:
    """Return the rows with the word, in any case, in one of the columns; the word has no white space.

    With PostgreSQL the condition is on the text of the trigram index, if there is one for these columns. PostgreSQL
    reads all rows for a word of one or two characters, because such a word contains no trigram.
    """
    indexed = _INDEXED.get(rows.model, ())
    if connection.vendor == "postgresql" and set(columns) <= set(indexed):
        rows = rows.filter(IContains(_text_of(indexed), word))
        if set(columns) == set(indexed):
            return rows
        # A second LIKE would let PostgreSQL expect a twentieth of the rows, and so sort all of
        # them where the first rows of the order's index would do.
        found = _text_of(tuple(name for name in indexed if name in columns))
        return rows.filter(GreaterThan(StrIndex(Upper(found), Upper(Value(word))), 0))
    is_in_any = Q()
    for name in columns:
        is_in_any |= Q(**{f"{name}__icontains": word})
    return rows.filter(is_in_any)


def values_of(model: type[Model], column: str, most: int) -> list[str]:
    """Return up to `most` different values of a column, sorted; null and "" are left out.

    Each value is one look into the index that begins with the column, where `DISTINCT` would read every row.
    """
    field = model._meta.get_field(column)
    assert isinstance(field, Field)
    assert field.column is not None
    quote = connection.ops.quote_name
    table, name = quote(model._meta.db_table), quote(field.column)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE found(value) AS (SELECT MIN({name}) FROM {table} WHERE {name} > '' UNION ALL "
            f"SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > found.value) FROM found WHERE found.value IS NOT NULL) "
            "SELECT value FROM found WHERE value IS NOT NULL LIMIT %s",
            [most],
        )
        return [value for (value,) in cursor]
