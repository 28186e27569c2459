"""Bars as bytes for a reader of the API. Pure functions of a table with `BAR_SCHEMA`."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from datasets.bars import PRICE_COLUMNS


def iso_times(table: pa.Table) -> list[str]:
    """Return each bar's opening instant as ISO 8601 in UTC, such as `2025-01-01T00:00:00Z`."""
    seconds = table["time"].cast(pa.int64()).to_numpy() // 1000
    return [f"{text}Z" for text in np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()]


def rows_json(table: pa.Table) -> bytes:
    """Return the bars as a JSON list of objects; a volume that is not there is null."""
    columns = [table[name].to_pylist() for name in (*PRICE_COLUMNS, "volume")]
    rows: list[dict[str, Any]] = [
        {"time": time, "open": open_, "high": high, "low": low, "close": close, "volume": volume}
        for time, open_, high, low, close, volume in zip(iso_times(table), *columns, strict=True)
    ]
    return orjson.dumps(rows)
