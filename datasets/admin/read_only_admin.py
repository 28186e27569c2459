"""Base of the admin pages of rows that only the service writes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from datasets.catalog import lists
from datasets.models import values_of

_MOST_VALUES = 300


class IndexedValuesFilter(admin.AllValuesFieldListFilter):
    """Filter by the values of a column that an index begins with; `""` is no value of its own."""

    def __init__(
        self,
        field: Any,
        request: HttpRequest,
        params: Any,
        model: Any,
        model_admin: Any,
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        # In place of a query that would read every row.
        self.lookup_choices = values_of(field.model, field.name, _MOST_VALUES)  # type: ignore[assignment]


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Paginator that stops counting rows at `lists.COUNTED` + 1, to stay fast in long tables."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: lists.COUNTED + 1].count())


class IndexedChangeList(ChangeList):
    """Change list whose order ends with the id in the same direction, as the indexes do.

    A column without an index is no order, also in an address that was written by hand.
    """

    def get_ordering_field(self, field_name: Any) -> Any:
        return (
            super().get_ordering_field(field_name)
            if field_name in (self.sortable_by or ())
            else None
        )

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering = list(super().get_ordering(request, queryset))
        is_rising = isinstance(ordering[0], str) and not ordering[0].startswith("-")
        if is_rising and ordering[-1] == "-pk":
            ordering[-1] = "pk"
        return ordering


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Model admin without add, change and delete: only the service writes these rows."""

    show_full_result_count = False
    # Each facet would count all rows.
    show_facets = admin.ShowFacets.NEVER
    list_per_page = lists.PER_PAGE
    # A list names the columns that have an index.
    sortable_by: ClassVar[list[str] | tuple[str, ...]] = ()
    paginator = BoundedPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IndexedChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search as the pages do, by the indexes for it."""
        columns = tuple(self.get_search_fields(request))
        return lists.search(queryset, search_term, columns), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
