"""The datasets that hold enough bars for a key, and the state of their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from datasets import catalog
from datasets.bars import DatasetKey, selection
from datasets.catalog import outputs
from datasets.errors import StoreError
from datasets.models import Dataset
from datasets.serving.trust import distrust_all


def candidates_on_disk(key: DatasetKey) -> Iterator[Dataset]:
    """Yield the series' datasets with enough bars and a whole file, in the order of `selection.ORDER`."""
    wanted = key.as_dict()
    wanted["n_bars__gte"] = wanted.pop("n_bars")
    # Django writes the conditions in the order of their names.
    names = tuple(sorted(wanted))
    found = Dataset.objects.raw(_composed_sql(names), [wanted[name] for name in names])
    yield from filter(is_on_disk, found)


@cache
def _composed_sql(names: tuple[str, ...]) -> str:
    """Return the SQL that Django composes, cached: composing costs five times the query."""
    query = Dataset.objects.filter(**dict.fromkeys(names, 1)).order_by(*selection.ORDER).query
    return str(query.sql_with_params()[0])


def is_on_disk(dataset: Dataset) -> bool:
    """Return whether the dataset's file is present and whole; verify a file that differs from its row."""
    is_ready = dataset.state == Dataset.State.READY
    if not is_ready and not (dataset.is_pinned and dataset.state == Dataset.State.MISSING):
        return False
    with suppress(StoreError):
        if is_ready and outputs.get_store().is_current(dataset.path, dataset.version):
            return True
    # The read also corrects the row's state, in either case.
    distrust_all()
    with suppress(StoreError):
        catalog.read(dataset)
        return True
    return False
