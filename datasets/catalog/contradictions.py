"""Contradictions between datasets of one series: different bars for the same times, as after a split."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.bars import DatasetKey
from datasets.errors import StoreError, StoreFailed
from datasets.models import Dataset
from datasets.storage import Store

logger = logging.getLogger(__name__)

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class _Final:
    """Final bars: opening times in ms since 1970 UTC, shape (n,); prices, shape (n, 4)."""

    times: npt.NDArray[np.int64]
    prices: npt.NDArray[np.float64]

    def between(self, first: int, last: int) -> _Final:
        """Return the bars from `first` to `last`, both inclusive."""
        start, end = np.searchsorted(self.times, first), np.searchsorted(self.times, last, "right")
        return _Final(self.times[start:end], self.prices[start:end])


def find_contradicted(
    store: Store,
    key: DatasetKey,
    table: pa.Table,
    last_bar_final: bool | None,
    *,
    but_for: Collection[int] = (),
) -> list[Dataset]:
    """Return the ready datasets of the key's series that contradict the table.

    Parameters
    ----------
    store
        The store with the datasets' files.
    key
        The table's key. The dataset of this key itself is not compared.
    table
        Bars with `BAR_SCHEMA`.
    last_bar_final
        Whether the last bar of the table is final; None if the feed did not say.
    but_for
        Primary keys of datasets that are not compared.

    A dataset whose file cannot be read is skipped; the next read of that dataset reports it.
    """
    series = {name: value for name, value in key.as_dict().items() if name != "n_bars"}
    others = Dataset.objects.filter(**series, state=Dataset.State.READY).exclude(n_bars=key.n_bars)
    others = others.exclude(pk__in=but_for)
    found = []
    for dataset in others:
        try:
            other, stored = store.read(dataset.path, recorded=dataset.version)
        except (StoreError, StoreFailed) as error:
            logger.warning("dataset %s was not compared with a new fetch: %s", dataset.pk, error)
            continue
        if contradict((table, last_bar_final), (other, stored.facts.last_bar_final)):
            found.append(dataset)
    return found


def contradict(
    one_side: tuple[pa.Table, bool | None], other_side: tuple[pa.Table, bool | None]
) -> bool:
    """Return whether the final bars of two tables differ in times or prices where the tables overlap.

    Each table has `BAR_SCHEMA` and comes with whether its last bar is final (None: unknown).
    Volumes are not compared: exchanges correct volumes for days, and prices stay the same.
    """
    one, other = _final(*one_side), _final(*other_side)
    if not (len(one.times) and len(other.times)):
        return False
    first, last = max(one.times[0], other.times[0]), min(one.times[-1], other.times[-1])
    one, other = one.between(first, last), other.between(first, last)
    return not (np.array_equal(one.times, other.times) and np.array_equal(one.prices, other.prices))


def _final(table: pa.Table, last_bar_final: bool | None) -> _Final:
    # Unless the feed says that the last bar is final, that bar may change.
    table = table if last_bar_final else table.slice(0, max(0, table.num_rows - 1))
    prices = np.column_stack([table[name].to_numpy() for name in _PRICES])
    return _Final(table["time"].cast(pa.int64()).to_numpy(), prices)
