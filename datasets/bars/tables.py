"""Tables of bars: their columns, their making from numbers, and their content hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.bars.instruments import Instrument
from datasets.errors import BadBars

PRICE_COLUMNS = ("open", "high", "low", "close")
BAR_COLUMNS = ("time", *PRICE_COLUMNS, "volume")

_BAR_FIELDS: list[pa.Field[Any]] = [
    # The bar's opening instant; strictly increasing, unique.
    pa.field("time", pa.timestamp("ms", tz="UTC"), nullable=False),
    # Quote currency, finite; never rounded.
    pa.field("open", pa.float64(), nullable=False),
    pa.field("high", pa.float64(), nullable=False),
    pa.field("low", pa.float64(), nullable=False),
    pa.field("close", pa.float64(), nullable=False),
    # Units traded. Null where the exchange gives no volume, which differs from 0.
    pa.field("volume", pa.float64(), nullable=True),
]
BAR_SCHEMA = pa.schema(_BAR_FIELDS)

# TradingView writes 1e+100 where it has no value.
NO_VALUE = 1e100
# 0001-01-01 and 10000-01-01: the range of Python's dates.
_FIRST_SECOND, _END_SECOND = -62135596800, 253402300800


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """One complete and checked reply of TradingView.

    `table` has `BAR_SCHEMA`, oldest bar first, 0 < rows <= n_bars. `last_bar_final` is False
    while the last bar is still forming, and None where the feed did not tell.
    """

    table: pa.Table
    instrument: Instrument
    fetched_at: datetime
    last_bar_final: bool | None
    # The feed has no older bars for us (`data_completed: limit`).
    is_limited: bool = False
    n_duplicates: int = 0
    # Odd, possibly correct bars: codes of `plausibility.DOUBTS`, each with its number of bars.
    doubts: dict[str, int] = field(default_factory=dict)


def make_table(values: npt.NDArray[np.float64], *, has_volume: npt.NDArray[np.bool_]) -> pa.Table:
    """Return a table of checked bars.

    Parameters
    ----------
    values
        Shape (n, 6): UNIX seconds, open, high, low, close, volume; sorted by time without
        duplicates.
    has_volume
        Shape (n,). The volume of a bar is null where this is False.

    Returns
    -------
    pa.Table
        n rows with `BAR_SCHEMA`.

    Raises
    ------
    BadBars
        A number that no bar can have, or times that do not increase.
    """
    check_numbers(values, has_volume=has_volume)
    if np.any(np.diff(values[:, 0]) <= 0):
        raise BadBars("The bars are not in strictly increasing order of time.")
    milliseconds = (values[:, 0].astype(np.int64)) * 1000
    columns = [pa.array(milliseconds, type=pa.int64()).cast(BAR_SCHEMA.field("time").type)]
    columns += [pa.array(values[:, index]) for index in range(1, 5)]
    columns.append(pa.array(values[:, 5], mask=~has_volume))
    return pa.Table.from_arrays(columns, schema=BAR_SCHEMA)


def check_numbers(values: npt.NDArray[np.float64], *, has_volume: npt.NDArray[np.bool_]) -> None:
    """Raise `BadBars`, which names one bad row, unless each row can be a bar.

    `values` has the shape (n, 6 or more), its first columns as for `make_table`.
    """
    times, prices, volumes = values[:, 0], values[:, 1:5], values[has_volume, 5]
    if not np.all((times >= _FIRST_SECOND) & (times < _END_SECOND)):
        raise BadBars("A bar has a time that is no date.")
    fractional = times != np.floor(times)
    if fractional.any():
        raise BadBars(f"A bar's time, {times[fractional][0]}, is not a whole second.")
    bad = ~np.isfinite(prices) | (np.abs(prices) >= NO_VALUE)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise BadBars(f"The bar of {iso_instant(times[row])} has a price that is no number.")
    if not np.all(np.isfinite(volumes) & (np.abs(volumes) < NO_VALUE)):
        raise BadBars("A bar has a volume that is no number.")
    if np.any(volumes < 0):
        row = int(np.flatnonzero(has_volume & (values[:, 5] < 0))[0])
        raise BadBars(f"The bar of {iso_instant(times[row])} has a volume below zero.")


def iso_instant(seconds: float) -> str:
    """Return UNIX seconds as ISO 8601 in UTC, such as `2025-01-01T00:00:00Z`, for a message."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def content_hash(table: pa.Table) -> str:
    """Return the SHA-256 of the columns' values, as 64 hex digits.

    Equal bars have equal hashes: compression and chunks of a file do not change the hash.
    """
    digest = hashlib.sha256(b"bars-1")
    digest.update(str(table.num_rows).encode())
    digest.update(table["time"].cast(pa.int64()).to_numpy().astype("<i8", copy=False).data)
    for name in PRICE_COLUMNS:
        digest.update(table[name].to_numpy().astype("<f8", copy=False).data)
    volume = table["volume"].combine_chunks()
    digest.update(volume.is_valid().to_numpy(zero_copy_only=False).data)
    digest.update(volume.fill_null(0.0).to_numpy().astype("<f8", copy=False).data)
    return digest.hexdigest()
