"""Filters and orders of the lists, strict about what they are asked."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from datasets.errors import InvalidRequest

# What belongs to the paging and the ordering, not to a filter.
_PAGING = {"cursor", "page_size", "ordering"}


class StrictFilterBackend(DjangoFilterBackend):
    """Names a parameter that it does not know, instead of listing everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
        filterset_class = self.get_filterset_class(view, queryset)
        known = set(filterset_class.base_filters) | _PAGING
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            allowed = ", ".join(sorted(known))
            raise InvalidRequest(
                {name: [f"There is no such parameter; known are {allowed}."] for name in unknown}
            )
        return super().filter_queryset(request, queryset, view)


class CursorOrdering(OrderingFilter):
    """Orders a list, with the id last so that every page boundary is definite."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> Any:
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
        return [*names, "-id"] if names else None
