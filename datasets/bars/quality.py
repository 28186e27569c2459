"""Measures of data quality that are stored with each dataset."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from datasets.bars.tables import PRICE_COLUMNS


def count_inconsistent(table: pa.Table) -> int:
    """Count bars whose high and low do not enclose the open and the close; such bars are kept."""
    opens, highs, lows, closes = (table[name].to_numpy() for name in PRICE_COLUMNS)
    return int(
        np.count_nonzero(
            (highs < np.maximum(opens, closes))
            | (lows > np.minimum(opens, closes))
            | (highs < lows)
        )
    )


def zero_volume_share(table: pa.Table) -> float | None:
    """Return the share of bars with a volume of 0, from 0 to 1; None where no bar has a volume."""
    volumes = table["volume"].drop_null().to_numpy()
    return float(np.count_nonzero(volumes == 0) / len(volumes)) if len(volumes) else None


def largest_gap_s(table: pa.Table) -> int | None:
    """Return the longest time between two neighbouring openings in seconds; None for one bar."""
    times = table["time"].cast(pa.int64()).to_numpy()
    return int(np.diff(times).max()) // 1000 if len(times) > 1 else None
