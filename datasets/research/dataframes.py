"""Frames of bars: their times, the state of the last bar, and the closing time of each bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.calendars import (
    CALENDAR_FACTS,
    NEVER,
    Calendar,
    Clock,
    close_instants,
    is_spread_out,
)
from datasets.calendars.last_bars import CLOCK_ERROR_MS, iso_to_ms
from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME
from datasets.research.reader import openings

Integers = npt.NDArray[np.int64]


def in_unit(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return a frame of ours with its times in another unit."""
    index = pd.DatetimeIndex(frame.index)
    if index.unit != unit:
        frame.index = index.as_unit(unit)  # type: ignore[arg-type]
        if CLOSE_TIME in frame.columns:
            frame[CLOSE_TIME] = frame[CLOSE_TIME].dt.as_unit(unit)
    return frame


def utc_index(instants: Integers, name: str = "time") -> pd.DatetimeIndex:
    """Return instants in ms as an index of aware UTC times."""
    return pd.DatetimeIndex(instants.view("M8[ms]"), tz="UTC", name=name)


def to_ms(index: pd.DatetimeIndex) -> Integers:
    """Return the instants of an index in ms; naive times count as UTC."""
    return (index if index.unit == "ms" else index.as_unit("ms")).asi8


def _is_slice(bars: pd.DataFrame | pd.Series, times: Integers) -> bool:
    """Return whether the rows are neighbouring bars of what this process has loaded."""
    loaded = openings.get(str(bars.attrs.get("content_hash")))
    if loaded is None or not len(times):
        return False
    first = int(np.searchsorted(loaded, times[0]))
    return np.array_equal(loaded[first : first + len(times)], times)


def _from_iso(text: str | None) -> int:
    return NEVER if text is None else iso_to_ms(text)


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
