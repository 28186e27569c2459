"""Bars in the forms that studies want, with their provenance."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from datasets.bars import BAR_COLUMNS
from datasets.bars.coverage import Coverage
from datasets.calendars.close_times import NEVER, Clock, close_instants, is_spread_out
from datasets.errors import InvalidRequest
from datasets.research.reader import CLOCK_ERROR_MS, Bars, clock_of
from datasets.storage.metadata import METADATA_KEY

Integers = npt.NDArray[np.int64]
Form = Literal["pandas", "arrow", "polars", "numpy"]

VALUE_COLUMNS = BAR_COLUMNS[1:]
CLOSE_TIME = "close_time"
_INSTANT = pa.timestamp("ms", tz="UTC")


def choose_columns(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the wanted columns in their usual order; the five numbers for no choice."""
    if columns is None:
        return VALUE_COLUMNS
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    allowed = (*VALUE_COLUMNS, CLOSE_TIME)
    wrong = [name for name in names if name not in allowed]
    if wrong:
        message = f"{wrong[0]!r} is no column; use some of {', '.join(allowed)}."
        raise InvalidRequest({"columns": [message]})
    return tuple(name for name in allowed if name in names)


def check_form(form: str) -> None:
    """Raise `InvalidRequest` unless it is one of the four words."""
    if form not in get_args(Form):
        allowed = ", ".join(get_args(Form))
        raise InvalidRequest({"as_": [f"{form!r} is not allowed; use one of {allowed}."]})


def render(bars: Bars, columns: tuple[str, ...], provenance: dict[str, Any], form: Form) -> Any:
    """Return the bars as `form`: see `load`."""
    if form == "pandas":
        return _pandas_frame(bars, columns, provenance)
    if form == "numpy":
        return _numpy_arrays(bars, columns)
    table = _arrow_table(bars, columns, provenance)
    return table if form == "arrow" else _polars_frame(table)


def closes_of(bars: Bars) -> Integers:
    """Return when each of the bars closes, in ms."""
    clock = clock_of(bars.facts)
    return close_instants(bars.times, clock, next_ms=bars.next_ms, closed_by_ms=bars.closed_by_ms)


def utc_index(instants: Integers, name: str = "time") -> pd.DatetimeIndex:
    """Return instants in ms as an index of aware UTC times."""
    return pd.DatetimeIndex(instants.view("M8[ms]"), tz="UTC", name=name)


def to_ms(index: pd.DatetimeIndex) -> Integers:
    """Return an index's instants in ms; naive times are taken as UTC."""
    aware = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return aware.tz_localize(None).as_unit("ms").asi8


def _pandas_frame(bars: Bars, columns: tuple[str, ...], provenance: dict[str, Any]) -> pd.DataFrame:
    numbers = tuple(name for name in columns if name != CLOSE_TIME)
    # One block, a row of it for each column: what pandas would otherwise copy it into.
    block = np.empty((len(numbers), bars.table.num_rows))
    for row, name in enumerate(numbers):
        block[row] = bars.table[name].to_numpy()
    index = utc_index(bars.times)
    frame = pd.DataFrame(block.T, index=index, columns=_names(numbers), copy=False)
    if CLOSE_TIME in columns:
        frame[CLOSE_TIME] = utc_index(closes_of(bars))
    frame.attrs.update(provenance)
    return frame


@lru_cache(maxsize=64)
def _names(names: tuple[str, ...]) -> pd.Index:
    # An index never changes, and making one of strings takes a tenth of the whole loading.
    return pd.Index(names)


def _numpy_arrays(bars: Bars, columns: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {"time": bars.times.view("M8[ms]")}
    for name in columns:
        if name == CLOSE_TIME:
            arrays[name] = closes_of(bars).view("M8[ms]")
        else:
            arrays[name] = bars.table[name].to_numpy()
    return arrays


def _arrow_table(bars: Bars, columns: tuple[str, ...], provenance: dict[str, Any]) -> pa.Table:
    table = bars.table.select(["time", *(name for name in columns if name != CLOSE_TIME)])
    if CLOSE_TIME in columns:
        table = table.append_column(CLOSE_TIME, pa.array(closes_of(bars)).cast(_INSTANT))
    return table.replace_schema_metadata({METADATA_KEY: json.dumps(provenance).encode()})


def _polars_frame(table: pa.Table) -> Any:
    try:
        polars = importlib.import_module("polars")
    except ModuleNotFoundError:
        message = "as_='polars' needs polars, which is not installed: pip install polars"
        raise InvalidRequest({"as_": [message]}) from None
    return polars.from_arrow(table)


def provenance_of(bars: Bars, path: str) -> dict[str, Any]:
    """Return where the bars come from, in plain values that JSON can hold.

    `path` is the file's, below the datasets folder.
    """
    facts, instrument = bars.facts, bars.facts["instrument"]
    key = facts["key"]
    times = bars.times
    full_symbol = f"{key['exchange']}:{key['symbol']}" if key["exchange"] else key["symbol"]
    return {
        "full_symbol": full_symbol,
        **key,
        "content_hash": facts["content_hash"],
        "fetched_at": facts["fetched_at"],
        "n_rows": facts["n_rows"],
        "first_time": facts["first_time"],
        "last_time": facts["last_time"],
        "last_bar_final": _is_last_final(bars),
        "is_limited": facts["is_limited"],
        "doubts": facts.get("doubts", {}),
        "currency": instrument.get("currency", ""),
        "type": instrument.get("type", ""),
        "description": instrument.get("description", ""),
        "timezone": instrument.get("timezone", ""),
        "session_hours": instrument.get("session_hours", ""),
        "delay_s": instrument.get("delay_s", 0),
        "path": path,
        **_plain(bars.coverage),
        "edge": {
            "last": _iso(int(times[-1]) if len(times) else NEVER),
            "forming": _iso(bars.forming_ms),
            "next": _iso(bars.next_ms),
            "closed_by": _iso(bars.closed_by_ms),
        },
    }


def _plain(coverage: Coverage) -> dict[str, Any]:
    """Return the coverage with its instants as text, as all of `attrs` is."""
    said = coverage.as_dict().items()
    return {name: v.isoformat() if isinstance(v, datetime) else v for name, v in said}


def _is_last_final(bars: Bars) -> bool | None:
    """Return whether the last of the loaded bars is final; None where there is none, or nobody said."""
    if not len(bars.times):
        return None
    final: bool | None = bars.facts["last_bar_final"]
    return final if bars.next_ms == NEVER else True


def _iso(instant: int) -> str | None:
    if instant == NEVER:
        return None
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat()


def _from_iso(text: str | None) -> int:
    return NEVER if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def clock_in(bars: pd.DataFrame | pd.Series, **given: str | None) -> Clock:
    """Return what decides when these bars close: what is given, else what their `attrs` say."""
    names = {"timeframe": "timeframe", "hours": "session_hours", "timezone": "timezone"}
    values = {}
    for name, attribute in names.items():
        value = given.get(name)
        values[name] = bars.attrs.get(attribute) if value is None else value
    missing = [name for name, value in values.items() if value is None]
    if missing:
        message = (
            f"The bars do not say their {' and '.join(missing)}: their attrs are gone. "
            f"Pass {', '.join(f'{name}=' for name in missing)}, or add a column close_time: "
            "that of close_times."
        )
        raise InvalidRequest({"bars": [message]})
    clock = Clock(**{name: str(value) for name, value in values.items()})
    # What pandas resampled has a frequency, and what was loaded has none.
    n_gaps = 2 if getattr(bars.index, "freq", None) is None else 1
    if given.get("timeframe") is None and is_spread_out(index_ms(bars), clock, n_gaps=n_gaps):
        # Taken at its word, a day made of hours would close an hour after it began.
        message = (
            f"The rows lie too far apart for bars of {clock.timeframe}, which their attrs say "
            "they are; pandas' own resample and groupby keep the attrs of what they aggregate. "
            "Use resample of this package, or add a column close_time. For bars of "
            f"{clock.timeframe} that were picked out, pass timeframe={clock.timeframe!r}."
        )
        raise InvalidRequest({"bars": [message]})
    return clock


class Edge:
    """What is known of the bar after a frame's last row, as long as that is still its last row."""

    def __init__(self, bars: pd.DataFrame | pd.Series, times: Integers) -> None:
        edge = bars.attrs.get("edge", {})
        is_whole = bool(len(times)) and _from_iso(edge.get("last")) == int(times[-1])
        self.forming_ms = _from_iso(edge.get("forming"))
        self.next_ms = _from_iso(edge.get("next")) if is_whole else NEVER
        self.closed_by_ms = _from_iso(edge.get("closed_by")) if is_whole else NEVER
        # Up to when no bar can be missing; 0 where that is not known.
        is_known = self.closed_by_ms != NEVER
        self.complete_until_ms = self.closed_by_ms - 2 * CLOCK_ERROR_MS if is_known else 0


def index_ms(bars: pd.DataFrame | pd.Series) -> Integers:
    """Return the openings of the rows, in ms; raise unless they are times in strict order."""
    if not isinstance(bars.index, pd.DatetimeIndex):
        raise InvalidRequest({"bars": ["The bars' index is not one of times; use load()."]})
    times = to_ms(bars.index)
    if np.any(np.diff(times) <= 0):
        raise InvalidRequest({"bars": ["The bars are not in strictly increasing order of time."]})
    return times


def as_frame(bars: object, name: str = "bars") -> pd.DataFrame:
    """Return bars as a frame, also one column of them; raise for what is not of pandas."""
    if isinstance(bars, pd.Series):
        return bars.to_frame()
    if not isinstance(bars, pd.DataFrame):
        message = f"{name} is a {type(bars).__name__} and no frame of pandas; use as_='pandas'."
        raise InvalidRequest({name: [message]})
    return bars


def require_unique(bars: pd.DataFrame) -> None:
    """Raise `InvalidRequest` where two columns have one name."""
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
    """Return when each bar has closed for sure: never before it did.

    Parameters
    ----------
    bars
        From `load` or `resample`, or a slice of it; features on the same index will do too.
    timeframe, hours, timezone
        What the frame's `attrs` do not say; `hours` such as `0930-1600` or `24x7`.

    Returns
    -------
    pd.Series
        `close_time`, datetime64[ms, UTC], on the same index. Its own column or index where
        there is one.
    """
    if isinstance(bars, pd.DataFrame) and CLOSE_TIME in bars.columns:
        return bars[CLOSE_TIME]
    if bars.index.name == CLOSE_TIME:
        return pd.Series(bars.index, index=bars.index, name=CLOSE_TIME)
    closes = _closes_in(bars, clock_in(bars, timeframe=timeframe, hours=hours, timezone=timezone))
    return pd.Series(utc_index(closes, CLOSE_TIME), index=bars.index, name=CLOSE_TIME)


def _closes_in(bars: pd.DataFrame | pd.Series, clock: Clock) -> Integers:
    times = index_ms(bars)
    edge = Edge(bars, times)
    return close_instants(times, clock, next_ms=edge.next_ms, closed_by_ms=edge.closed_by_ms)


def drop_forming(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the bars without one that may still change."""
    if len(bars) == 0:
        return bars
    times = index_ms(bars)
    return bars.iloc[:-1] if int(times[-1]) == Edge(bars, times).forming_ms else bars
