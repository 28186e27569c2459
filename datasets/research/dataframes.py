"""Loaded bars as a pandas frame, an Arrow or polars table or arrays, and frames' closing times."""

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
from datasets.calendars import (
    CALENDAR_FACTS,
    NEVER,
    Calendar,
    Clock,
    close_instants,
    is_spread_out,
)
from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME, Form, Unit
from datasets.research.reader import CLOCK_ERROR_MS, Bars, clock_of, openings
from datasets.storage import METADATA_KEY

Integers = npt.NDArray[np.int64]
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
        return _arrays(bars, columns, unit)
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


def _arrays(bars: Bars, columns: tuple[str, ...], unit: Unit) -> dict[str, npt.NDArray[Any]]:
    arrays = {"time": bars.times.view("M8[ms]").astype(f"M8[{unit}]", copy=False)}
    for name in columns:
        if name == CLOSE_TIME:
            arrays[name] = closes_of(bars).view("M8[ms]").astype(f"M8[{unit}]", copy=False)
        else:
            arrays[name] = bars.table[name].to_numpy()
    return arrays


def in_unit(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return a frame of ours with its times in another unit."""
    index = pd.DatetimeIndex(frame.index)
    if index.unit != unit:
        frame.index = index.as_unit(unit)  # type: ignore[arg-type]
        if CLOSE_TIME in frame.columns:
            frame[CLOSE_TIME] = frame[CLOSE_TIME].dt.as_unit(unit)
    return frame


def closes_of(bars: Bars) -> Integers:
    """Return the closing instant of each bar, in ms."""
    clock = clock_of(bars.facts)
    return close_instants(bars.times, clock, next_ms=bars.next_ms, closed_by_ms=bars.closed_by_ms)


def utc_index(instants: Integers, name: str = "time") -> pd.DatetimeIndex:
    """Return instants in ms as an index of aware UTC times."""
    return pd.DatetimeIndex(instants.view("M8[ms]"), tz="UTC", name=name)


def to_ms(index: pd.DatetimeIndex) -> Integers:
    """Return the instants of an index in ms; naive times count as UTC."""
    return (index if index.unit == "ms" else index.as_unit("ms")).asi8


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


def _is_slice(bars: pd.DataFrame | pd.Series, times: Integers) -> bool:
    """Return whether the rows are neighbouring bars of what this process has loaded."""
    loaded = openings.get(str(bars.attrs.get("content_hash")))
    if loaded is None or not len(times):
        return False
    first = int(np.searchsorted(loaded, times[0]))
    return np.array_equal(loaded[first : first + len(times)], times)


def provenance_of(bars: Bars, path: str) -> dict[str, Any]:
    """Return the origin of the bars, in plain values that JSON can hold: the frame's `attrs`.

    `path` is the file's path below the datasets folder.
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
        "path": path,
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


def _from_iso(text: str | None) -> int:
    return NEVER if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def clock_in(bars: pd.DataFrame | pd.Series, **given: str | None) -> Clock:
    """Return timeframe and calendar of these bars: given values first, else their `attrs`.

    Raises `InvalidRequest` where one is missing, or where the rows lie too far apart for the
    timeframe in `attrs`.
    """
    names = {"timeframe": "timeframe", "hours": "session_hours", "timezone": "timezone"}
    values = {}
    for name, attribute in names.items():
        value = given.get(name)
        values[name] = bars.attrs.get(attribute) if value is None else value
    missing = [name for name, value in values.items() if value is None]
    if missing:
        message = (
            f"The bars do not say their {' and '.join(missing)}: their attrs are gone. "
            f"Pass {', '.join(f'{name}=' for name in missing)}, or add the column close_time, "
            "which close_times returns."
        )
        raise InvalidRequest({"bars": [message]})
    # Other hours than the feed's have no holidays or corrections.
    facts: dict[str, Any] = {}
    if given.get("hours") is None:
        facts = {name: bars.attrs.get(name, "") for name in CALENDAR_FACTS}
    facts |= {"session_hours": values["hours"], "timezone": values["timezone"]}
    clock = Clock(str(values["timeframe"]), Calendar.of(facts))
    # A frame that pandas resampled has a frequency; a loaded frame has none.
    n_gaps = 2 if getattr(bars.index, "freq", None) is None else 1
    times = index_ms(bars)
    is_checked = given.get("timeframe") is None and not _is_slice(bars, times)
    if is_checked and is_spread_out(times, clock, n_gaps=n_gaps):
        # With the timeframe of its attrs, a day made of hours would close an hour after it began.
        message = (
            f"The rows lie too far apart for bars of {clock.timeframe}, the timeframe in their attrs; "
            "pandas' own resample and groupby keep the attrs of the bars that they aggregate. "
            "Use resample of this package, or add a column close_time. For bars of "
            f"{clock.timeframe} that were selected, pass timeframe={clock.timeframe!r}."
        )
        raise InvalidRequest({"bars": [message]})
    return clock


class Edge:
    """State of a frame's last bar, from the frame's `attrs`; instants in ms, `NEVER` for unknown.

    `next_ms` and `closed_by_ms` count only while the last row is still the one that was loaded.
    """

    def __init__(self, bars: pd.DataFrame | pd.Series, times: Integers) -> None:
        edge = bars.attrs.get("edge", {})
        is_whole = bool(len(times)) and _from_iso(edge.get("last")) == int(times[-1])
        self.forming_ms = _from_iso(edge.get("forming"))
        self.next_ms = _from_iso(edge.get("next")) if is_whole else NEVER
        self.closed_by_ms = _from_iso(edge.get("closed_by")) if is_whole else NEVER
        # No bar is missing up to this instant; 0 where the instant is not known.
        is_known = self.closed_by_ms != NEVER
        self.complete_until_ms = self.closed_by_ms - 2 * CLOCK_ERROR_MS if is_known else 0


def index_ms(bars: pd.DataFrame | pd.Series) -> Integers:
    """Return the openings of the rows, in ms; raise `InvalidRequest` unless they strictly increase."""
    if not isinstance(bars.index, pd.DatetimeIndex):
        raise InvalidRequest({"bars": ["The bars' index is not one of times; use load()."]})
    times = to_ms(bars.index)
    if (times[1:] <= times[:-1]).any():
        raise InvalidRequest({"bars": ["The bars are not in strictly increasing order of time."]})
    return times


def as_frame(bars: object, name: str = "bars") -> pd.DataFrame:
    """Return a frame or a series as a frame; raise `InvalidRequest` for any other type."""
    if isinstance(bars, pd.Series):
        return bars.to_frame()
    if not isinstance(bars, pd.DataFrame):
        message = f"{name} is a {type(bars).__name__} and no frame of pandas; use as_='pandas'."
        raise InvalidRequest({name: [message]})
    return bars


def require_unique(bars: pd.DataFrame) -> None:
    """Raise `InvalidRequest` where two columns have the same name."""
    if not bars.columns.is_unique:
        name = bars.columns[bars.columns.duplicated()][0]
        raise InvalidRequest({"bars": [f"The bars have more than one column {name!r}."]})


def close_times(
    bars: pd.DataFrame | pd.Series,
    *,
    timeframe: str | None = None,
    hours: str | None = None,
    timezone: str | None = None,
) -> pd.Series:
    """Return the instant by which each bar has closed for sure: never too early.

    Parameters
    ----------
    bars
        From `load` or `resample`, or a slice of the result, or features on the same index.
    timeframe, hours, timezone
        Replace the values in the frame's `attrs`; `hours` such as `0930-1600` or `24x7`.

    Returns
    -------
    pd.Series
        `close_time`, datetime64[ms, UTC], on the same index. A column or an index with the
        name `close_time` is returned as it is.

    Raises
    ------
    InvalidRequest
        The index is not one of times, or the timeframe or the hours are not known.
    """
    if isinstance(bars, pd.DataFrame) and CLOSE_TIME in bars.columns:
        return bars[CLOSE_TIME]
    if bars.index.name == CLOSE_TIME:
        return pd.Series(bars.index, index=bars.index, name=CLOSE_TIME)
    clock = clock_in(bars, timeframe=timeframe, hours=hours, timezone=timezone)
    times = index_ms(bars)
    edge = Edge(bars, times)
    closes = close_instants(times, clock, next_ms=edge.next_ms, closed_by_ms=edge.closed_by_ms)
    return pd.Series(utc_index(closes, CLOSE_TIME), index=bars.index, name=CLOSE_TIME)


def drop_forming(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the bars without a forming last bar."""
    if len(bars) == 0:
        return bars
    times = index_ms(bars)
    return bars.iloc[:-1] if int(times[-1]) == Edge(bars, times).forming_ms else bars
