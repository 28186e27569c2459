"""The datasets that a command line selects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet

from datasets.bars import KEY_FIELDS, split_symbol
from datasets.catalog.bulk.row_order import in_pages
from datasets.errors import InvalidRequest
from datasets.models import Dataset, Series


def select_datasets(options: dict[str, Any]) -> QuerySet[Dataset]:
    """Return the datasets with the names, timeframe and state in `options`; all without names.

    Raises `CommandError` for a name without a dataset.
    """
    chosen = Dataset.objects.order_by(*KEY_FIELDS)
    if options.get("state"):
        chosen = chosen.filter(state=options["state"])
    if options.get("timeframe"):
        chosen = chosen.filter(timeframe=options["timeframe"].value)
    names = options.get("names") or []
    if not names:
        return chosen
    ids = []
    for name in names:
        if re.fullmatch(r"[0-9]{1,18}", name):
            found = chosen.filter(pk=int(name))
        else:
            try:
                exchange, symbol = split_symbol(name, "")
            except InvalidRequest as error:
                raise CommandError(str(error)) from error
            found = chosen.filter(exchange=exchange, symbol=symbol)
        if not found:
            raise CommandError(f"There is no dataset {name}. `manage.py datasets list` shows all.")
        ids += [dataset.pk for dataset in found]
    return chosen.filter(pk__in=ids)


def each_dataset(options: dict[str, Any], columns: Sequence[str] = ()) -> Iterator[Dataset]:
    """Yield the datasets of `select_datasets` a page at a time; with `columns` only these are read."""
    return in_pages(select_datasets(options).only(*columns), KEY_FIELDS)


def select_series(options: dict[str, Any]) -> QuerySet[Series]:
    """Return the series with the symbols and the timeframe in `options`; all without symbols.

    Raises `CommandError` for a symbol without a series.
    """
    chosen = Series.objects.all()
    if options.get("timeframe"):
        chosen = chosen.filter(timeframe=options["timeframe"].value)
    ids: list[int] = []
    for name in options.get("names") or []:
        try:
            exchange, symbol = split_symbol(name, "")
        except InvalidRequest as error:
            raise CommandError(str(error)) from error
        found = chosen.filter(exchange=exchange, symbol=symbol)
        if not found:
            raise CommandError(f"The archive has no series {name}; name it such as NASDAQ:AAPL.")
        ids += [series.pk for series in found]
    return chosen.filter(pk__in=ids) if ids else chosen
