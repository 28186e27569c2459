"""Filters, orders and pages of lists; each refuses values and parameters that it cannot use."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import DataError
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param
from rest_framework.viewsets import ViewSetMixin

from datasets import serving
from datasets.api.fields import WHOLE_NUMBER
from datasets.bars import Timeframe
from datasets.bars.instants import parse_instant
from datasets.catalog.bulk.row_order import Ordered, rows_after
from datasets.errors import InvalidRequest

# Parameters of paging and ordering, which no filter reads.
_PAGING = {"cursor", "page_size", "ordering"}
_CURSOR = re.compile(r"^[A-Za-z0-9+/=]+$")


class StrictQueryMixin(ViewSetMixin):
    """Common to all of `/api/tv/`: `TV_ENABLED=0` turns it off, and unknown parameters are refused."""

    # The actions that read their query; the others accept no parameter.
    reads_query: frozenset[str] = frozenset({"list"})

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        serving.require_enabled()
        if self.action and self.action not in self.reads_query:
            refuse_unknown(request._request.GET, known=set())


def refuse_unknown(query: QueryDict, *, known: set[str]) -> None:
    """Raise `InvalidRequest` naming each parameter that is not known, empty, or given twice."""
    allowed = f"known are {', '.join(sorted(known))}" if known else "this call takes none"
    errors = {
        name: [f"There is no such parameter; {allowed}."] for name in sorted(set(query) - known)
    }
    twice = [name for name in query if len(query.getlist(name)) > 1]
    errors |= {name: ["This parameter was given more than once."] for name in twice}
    # An ignored empty filter would list everything.
    empty = [name for name in query if name in known and query[name] == ""]
    errors |= {name: ["It is empty; leave it out."] for name in empty}
    if errors:
        raise InvalidRequest(errors)


class StrictFilterBackend(DjangoFilterBackend):
    """Refuses unknown parameters, which would otherwise list everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> Any:
        filterset_class = self.get_filterset_class(view, queryset)
        refuse_unknown(request._request.GET, known=set(filterset_class.base_filters) | _PAGING)
        return super().filter_queryset(request, queryset, view)


class _WholeNumber(forms.IntegerField):
    # The range of a column; SQLite's driver raises beyond it.
    default_validators = [MinValueValidator(0), MaxValueValidator(2**63 - 1)]

    def to_python(self, value: Any) -> int | None:
        if isinstance(value, str) and value and not WHOLE_NUMBER.fullmatch(value):
            raise ValidationError("Write a whole number in the digits 0 to 9.")
        number: int | None = super().to_python(value)
        return number


class WholeNumberFilter(django_filters.NumberFilter):
    """Refuses 0.5 where Django would look for 0."""

    field_class = _WholeNumber


def _refused(message: str) -> ValidationError:
    """Return the error of a filter; django-filter formats the message, which can contain a `%`."""
    return ValidationError(message.replace("%", "%%"))


class _Timeframe(forms.CharField):
    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        if not text:
            return ""
        try:
            return Timeframe.parse(text).value
        except InvalidRequest as error:
            raise _refused(error.errors["timeframe"][0]) from error


class TimeframeFilter(django_filters.CharFilter):
    """Accepts every spelling of a timeframe."""

    field_class = _Timeframe


class _Instant(forms.Field):
    def to_python(self, value: str | None) -> datetime | None:
        if not value:
            return None
        try:
            return parse_instant(value)
        except ValueError as error:
            raise _refused(str(error)) from None


class InstantFilter(django_filters.IsoDateTimeFilter):
    """Reads an instant as the bars' `start` and `end` do."""

    field_class = _Instant


class _YesOrNo(forms.Field):
    def to_python(self, value: str | None) -> bool | None:
        if not value:
            return None
        try:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        except KeyError:
            raise ValidationError("Write true or false.") from None


class BooleanFilter(django_filters.BooleanFilter):
    """Refuses values other than true and false, which Django would ignore."""

    field_class = _YesOrNo


class CursorOrdering(OrderingFilter):
    """Orders a list, with the id as last field so that the order is total."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> Any:
        wanted = request.query_params.get(self.ordering_param, "")
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        allowed = set(getattr(view, "ordering_fields", ()))
        wrong = [name for name in names if name.removeprefix("-") not in allowed]
        if wrong:
            known = ", ".join(sorted(allowed))
            raise InvalidRequest(
                {
                    "ordering": [
                        f"{wrong[0]!r} is no field to order by; use {known}, with - for descending."
                    ]
                }
            )
        if not names:
            return None
        # The id follows in the direction of the first field, as in the indexes.
        return [*names, "-id" if names[0].startswith("-") else "id"]


class Pages(CursorPagination):
    """Cursor pages: they stay stable while rows are added and removed.

    A cursor names the row after which the page begins, with all fields of the order. So a page costs the same
    anywhere in a list, also among many rows with equal values. The last field of each order is the id.
    """

    page_size = 50
    max_page_size = 1000
    page_size_query_param = "page_size"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size", str(self.page_size))
        # Not `isdigit` alone: it accepts digits that `int` refuses.
        if not (text.isascii() and text.isdigit() and len(text) < 5):
            text = "0"
        if not 1 <= int(text) <= self.max_page_size:
            raise InvalidRequest(
                {"page_size": [f"Write a whole number from 1 to {self.max_page_size}."]}
            )
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.cursor_query_param:
                parameter["schema"] |= {"pattern": _CURSOR.pattern}
            if parameter["name"] == "page_size":
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return parameters

    def paginate_queryset(  # type: ignore[override]
        self, queryset: QuerySet[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """Return the rows of the page that the cursor names; raise `InvalidRequest` for a cursor of another list."""
        size = self.get_page_size(request)
        self.address = request.build_absolute_uri()
        self.order = [Ordered.of(name, queryset) for name in self.get_ordering(request, queryset, view)]  # fmt: skip
        try:
            self.place, is_backwards = self._read_cursor(request)
            order = [each.turned() for each in self.order] if is_backwards else self.order
            rows = rows_after(queryset, order, self.place, size + 1)
        except (ValidationError, ValueError, TypeError, OverflowError, DataError):
            # The cursor's value does not fit the field that the list is ordered by.
            raise InvalidRequest(
                {"cursor": ["This is no cursor of this list; follow `next` and `previous`."]}
            ) from None
        page, has_more = rows[:size], len(rows) > size
        if is_backwards:
            page.reverse()
        self.page, self.has_next = page, is_backwards or has_more
        self.has_previous = has_more if is_backwards else self.place is not None
        return page

    def get_next_link(self) -> str | None:
        return self._link((self.page or [])[-1:], is_backwards=False) if self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link((self.page or [])[:1], is_backwards=True) if self.has_previous else None

    def _read_cursor(self, request: Request) -> tuple[list[Any] | None, bool]:
        """Return the values of the row at which the page begins, and whether the page is before that row."""
        text = request.query_params.get(self.cursor_query_param)
        if text is None:
            return None, False
        # Python's decoder ignores characters outside base64, and an empty cursor would be the first page.
        if not _CURSOR.fullmatch(text):
            raise ValueError
        is_backwards, values = json.loads(b64decode(text, validate=True))
        place = [each.read(value) for each, value in zip(self.order, values, strict=True)]
        return place, bool(is_backwards)

    def _link(self, rows: list[Any], *, is_backwards: bool) -> str:
        """Return the address of the page after or before the row; without a row, of that around the cursor."""
        place = [getattr(row, each.name) for row in rows for each in self.order] or self.place
        cursor = json.dumps([int(is_backwards), place], default=str).encode()
        return replace_query_param(self.address, self.cursor_query_param, b64encode(cursor).decode())  # fmt: skip


class DatasetPages(Pages):
    ordering = ("-fetched_at", "-id")


class FetchPages(Pages):
    ordering = ("-requested_at", "-id")
