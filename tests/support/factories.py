"""Bars for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from datasets.bars import DatasetKey, FetchedBars, Instrument, make_table

START = 1_735_689_600  # 2025-01-01T00:00:00Z


def bars_table(
    n_rows: int, *, start: int = START, step: int = 3600, has_volume: bool = True
) -> pa.Table:
    """Return `n_rows` plausible bars."""
    walk = 100 + np.cumsum(np.sin(np.arange(n_rows + 1) * 0.7))
    opens, closes = walk[:-1], walk[1:]
    rows = np.column_stack(
        [
            start + step * np.arange(n_rows),
            opens,
            np.maximum(opens, closes) + 0.5,
            np.minimum(opens, closes) - 0.5,
            closes,
            np.arange(n_rows) % 7 * 1.25,
        ]
    ).astype(float)
    return make_table(rows, has_volume=np.full(n_rows, has_volume))


def fetched_bars(table: pa.Table, **changes: Any) -> FetchedBars:
    """Return `table` as a reply of the feed."""
    values: dict[str, Any] = {
        "table": table,
        "instrument": Instrument(
            pro_name="BINANCE:BTCUSDT", full_name="BINANCE:BTCUSDT", timezone="Etc/UTC"
        ),
        "fetched_at": datetime(2025, 6, 1, tzinfo=UTC),
        "last_bar_final": True,
    }
    return FetchedBars(**(values | changes))


def a_key(**changes: Any) -> DatasetKey:
    """Return a key of the sample feed."""
    values: dict[str, Any] = {
        "source": "sample",
        "exchange": "BINANCE",
        "symbol": "BTCUSDT",
        "n_bars": 300,
    }
    return DatasetKey.parse(**(values | changes))
