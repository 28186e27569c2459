"""Loaded bars as a pandas frame, an Arrow or polars table, or arrays; and their provenance."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from datasets.bars import join_symbol
from datasets.calendars import CALENDAR_FACTS, NEVER, close_instants
from datasets.calendars.last_bars import clock_of
from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME, Form, Unit
from datasets.research.dataframes import Integers, in_unit, utc_index
from datasets.research.reader import Bars
from datasets.storage import METADATA_KEY

_INSTANT = pa.timestamp("ms", tz="UTC")
# An index never changes, and building one of strings takes a tenth of the time of a load.
_column_index = lru_cache(maxsize=64)(pd.Index)


def render(
    bars: Bars, columns: tuple[str, ...], provenance: dict[str, Any], form: Form, unit: Unit
) -> Any:
    """Return the bars in the form that `load` describes under `as_` and `unit`."""
    if form == "pandas":
        return in_unit(_pandas_frame(bars, columns, provenance), unit)
    if form == "numpy":
        arrays: dict[str, npt.NDArray[Any]] = {"time": bars.times.view("M8[ms]")}
        for name in columns:
            is_close = name == CLOSE_TIME
            values = closes_of(bars).view("M8[ms]") if is_close else bars.table[name].to_numpy()
            arrays[name] = values
        for name in arrays.keys() & {"time", CLOSE_TIME}:
            arrays[name] = arrays[name].astype(f"M8[{unit}]", copy=False)
        return arrays
    table = bars.table.select(["time", *(name for name in columns if name != CLOSE_TIME)])
    if CLOSE_TIME in columns:
        table = table.append_column(CLOSE_TIME, pa.array(closes_of(bars)).cast(_INSTANT))
    if unit != "ms":
        instant = pa.timestamp(unit, tz="UTC")
        schema = [
            each.with_type(instant) if each.type == _INSTANT else each for each in table.schema
        ]
        table = table.cast(pa.schema(schema))
    return _table_in(form, table, provenance)


def convert(frame: pd.DataFrame, form: Form) -> Any:
    """Return a frame of ours in the form that `load` describes under `as_`."""
    if form == "pandas":
        return frame
    columns = frame.reset_index()
    if form == "numpy":
        return {
            str(name): column.to_numpy()
            if column.dtype == float
            else column.dt.tz_localize(None).to_numpy()
            for name, column in columns.items()
        }
    table = pa.Table.from_pandas(columns, preserve_index=False)
    return _table_in(form, table, frame.attrs)


def _table_in(form: Form, table: pa.Table, provenance: Mapping[Any, Any]) -> Any:
    """Return an Arrow table with its provenance, or a polars table of it."""
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(provenance).encode()})
    if form == "arrow":
        return table
    try:
        polars = importlib.import_module("polars")
    except ModuleNotFoundError:
        message = "as_='polars' needs polars, which is not installed: pip install polars"
        raise InvalidRequest({"as_": [message]}) from None
    return polars.from_arrow(table)


def closes_of(bars: Bars) -> Integers:
    """Return the closing instant of each bar, in ms."""
    clock = clock_of(bars.facts)
    return close_instants(bars.times, clock, next_ms=bars.next_ms, closed_by_ms=bars.closed_by_ms)


def _pandas_frame(bars: Bars, columns: tuple[str, ...], provenance: dict[str, Any]) -> pd.DataFrame:
    numbers = tuple(name for name in columns if name != CLOSE_TIME)
    # One block with a row for each column is pandas' own layout: no copy is needed.
    block = np.empty((len(numbers), bars.table.num_rows))
    for row, name in enumerate(numbers):
        block[row] = bars.table[name].to_numpy()
    index = utc_index(bars.times)
    frame = pd.DataFrame(block.T, index=index, columns=_column_index(numbers), copy=False)
    if CLOSE_TIME in columns:
        frame[CLOSE_TIME] = utc_index(closes_of(bars))
    frame.attrs.update(provenance)
    return frame


def provenance_of(bars: Bars, path: str, as_of_ms: int | None = None) -> dict[str, Any]:
    """Return the origin of the bars, in plain values that JSON can hold: the frame's `attrs`.

    `path` is the file's path below the datasets folder, or the series' folder below the archive.
    `as_of_ms` is the instant of the reading in UNIX ms.
    """
    facts, instrument = bars.facts, bars.facts["instrument"]
    key = facts["key"]
    times = bars.times
    # A bar with a bar after it is final. For the dataset's last bar the state may be unknown.
    is_final = facts["last_bar_final"] if bars.next_ms == NEVER else True
    return {
        "full_symbol": join_symbol(key["exchange"], key["symbol"]),
        **key,
        "content_hash": facts["content_hash"],
        "fetched_at": facts["fetched_at"],
        "n_rows": facts["n_rows"],
        "first_time": facts["first_time"],
        "last_time": facts["last_time"],
        "last_bar_final": is_final if len(times) else None,
        "dataset_last_bar_final": facts["last_bar_final"],
        "is_limited": facts["is_limited"],
        "doubts": facts.get("doubts", {}),
        "currency": instrument.get("currency", ""),
        "type": instrument.get("type", ""),
        "description": instrument.get("description", ""),
        **{name: instrument.get(name, "") for name in CALENDAR_FACTS},
        "delay_s": instrument.get("delay_s", 0),
        # The market's tick: minmov / pricescale. None where the feed did not send it.
        "pricescale": instrument.get("pricescale"),
        "minmov": instrument.get("minmov"),
        "path": path,
        **({} if as_of_ms is None else {"as_of": _iso(as_of_ms)}),
        # Only of bars that were read from an archive.
        **facts.get("archive", {}),
        **{
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in bars.coverage.as_dict().items()
        },
        "edge": {
            "last": _iso(int(times[-1]) if len(times) else NEVER),
            "forming": _iso(bars.forming_ms),
            "next": _iso(bars.next_ms),
            "closed_by": _iso(bars.closed_by_ms),
        },
    }


def _iso(instant: int) -> str | None:
    if instant == NEVER:
        return None
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat()
