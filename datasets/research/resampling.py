"""`resample`: longer bars out of shorter ones, by the exchange's own hours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from datasets.bars import BAR_SCHEMA, BarLength
from datasets.calendars import (
    CALENDAR_FACTS,
    NEVER,
    Calendar,
    Clock,
    Integers,
    Windows,
    close_instants,
    find_windows,
)
from datasets.calendars.last_bars import closed_by, is_final
from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME, VALUE_COLUMNS, Form, Part
from datasets.research.dataframes import (
    Edge,
    as_frame,
    clock_in,
    close_times,
    drop_forming,
    in_unit,
    index_ms,
    require_unique,
    to_ms,
    utc_index,
)
from datasets.research.load_forms import convert

# Bars of these units add up to bars of these longer ones. Weeks do not add up to months.
_LONGER_UNITS = {"m": "DWM", "D": "WM", "W": "", "M": ""}


def resample(
    bars: pd.DataFrame | pd.Series,
    timeframe: str,
    *,
    base: str | None = None,
    hours: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Aggregate bars to a longer timeframe, by the exchange's own hours.

    The result holds complete bars only. A longer bar is left out where its beginning is not
    among the bars, or where it may still be forming at their end. A forming bar is never used.

    Parameters
    ----------
    bars
        From `load`, with any of the columns `open high low close volume`, or one of them.
    timeframe
        A longer timeframe: minutes or hours that the base divides, such as `7` or `6h`; days,
        weeks or months, such as `1D`, `2D`, `2W`, `3M` or `12M`.
    base, hours, timezone
        Replace the values in the frame's `attrs`, or stand in for missing ones.

    Returns
    -------
    pd.DataFrame
        Index `time`, the longer bar's opening by the exchange's hours, in UTC and the unit of
        the bars' own times; the same columns, float64; and `close_time`, the instant from which
        on the row is known. `attrs["made_from"]` is the timeframe of the file.

    Raises
    ------
    InvalidRequest
        The timeframes do not add up, or the exchange's hours are not known.
    """
    bars = as_frame(bars)
    clock = clock_in(bars, timeframe=base, hours=hours, timezone=timezone)
    length = BarLength.parse(timeframe)
    check_longer(BarLength.parse(clock.timeframe), length)
    if not clock.calendar.is_known:
        message = (
            f"The exchange's days cannot be found. {clock.calendar.why_unknown} "
            "To name the hours, pass hours= such as '0930-1600' or '24x7', and timezone=."
        )
        raise InvalidRequest({"hours": [message]})
    require_unique(bars)
    closed = drop_forming(bars)
    windows = find_windows(
        index_ms(closed), BarLength.parse(clock.timeframe), length, clock.calendar
    )
    following = _earliest_following(bars, index_ms(closed), windows.next_ms)
    result = _aggregate(bars, len(closed), clock, windows, following)
    result = in_unit(result, pd.DatetimeIndex(bars.index).unit)
    attrs = {str(name): value for name, value in bars.attrs.items() if name != "edge"}
    # Bars that were resampled before keep the timeframe of their file: write_lock needs it.
    origin = attrs.get("made_from") or attrs.get("timeframe")
    attrs |= {"timeframe": length.value, "made_from": origin, "n_outside_hours": windows.n_outside}
    result.attrs.update(attrs)
    return result


def check_longer(base: BarLength, target: BarLength) -> None:
    """Raise `InvalidRequest` unless bars of `base` add up to bars of `target`."""
    if base.unit == target.unit:
        fits = target.count > base.count and target.count % base.count == 0
    else:
        # Two days do not add up to a week.
        fits = target.unit in _LONGER_UNITS[base.unit] and (base.unit == "m" or base.count == 1)
    if not fits:
        message = f"Bars of {base.value} do not add up to bars of {target.value}."
        raise InvalidRequest({"timeframe": [message]})


def _earliest_following(bars: pd.DataFrame, times: Integers, next_ms: int) -> int:
    """Return the instant in ms up to which no bar is missing after the last of `times`.

    `next_ms` is the earliest opening of another bar by the calendar.
    """
    if not len(times):
        return 0
    every = index_ms(bars)
    edge = Edge(bars, every)
    known = [next_ms, edge.complete_until_ms]
    # A forming bar also proves that nothing is missing before it.
    known += [int(instant) for instant in every[every > times[-1]][:1]]
    return max(*known, 0 if edge.next_ms == NEVER else edge.next_ms)


def _aggregate(
    bars: pd.DataFrame, n_closed: int, clock: Clock, windows: Windows, following: int
) -> pd.DataFrame:
    """Return one row for each complete window; `following` decides about the last one.

    The first `n_closed` bars are final.
    """
    begin = windows.begin
    stop = np.append(begin[1:], n_closed)[: len(begin)]
    complete = np.ones(len(begin), dtype=bool)
    complete[:1] = windows.is_first_whole
    complete[-1:] &= following >= windows.last_sure_ms
    begin, stop = begin[complete], stop[complete]
    # A bar can end after its window: by another grid than ours, or in trade after the stated
    # end. The row is known at the later end.
    ends = np.maximum(windows.ends[complete], _closes_at(bars, stop - 1, clock))
    index = utc_index(windows.opens[complete])
    result = pd.DataFrame(_columns(bars, begin, stop), index=index)
    result[CLOSE_TIME] = utc_index(ends)
    return result


def _closes_at(bars: pd.DataFrame, rows: Integers, clock: Clock) -> Integers:
    """Return the closing instants of some rows, in ms."""
    if CLOSE_TIME in bars.columns or bars.index.name == CLOSE_TIME:
        return to_ms(pd.DatetimeIndex(close_times(bars.iloc[rows])))
    # With the rows after them: the next opening is a bound.
    both = np.union1d(rows, np.minimum(rows + 1, len(bars) - 1))
    part = bars.iloc[both]
    times = index_ms(part)
    edge = Edge(part, times)
    closes = close_instants(times, clock, next_ms=edge.next_ms, closed_by_ms=edge.closed_by_ms)
    return closes[np.searchsorted(both, rows)]


def _columns(
    bars: pd.DataFrame, begin: Integers, stop: Integers
) -> dict[str, npt.NDArray[np.float64]]:
    """Return each column, aggregated over the rows from `begin` up to `stop` of each window."""
    # A bar without a volume makes the sum NaN: the sum is unknown. pandas' own sum skips the bar.
    reducers: dict[str, np.ufunc] = {"high": np.maximum, "low": np.minimum, "volume": np.add}
    columns: dict[str, Any] = {}
    for name in VALUE_COLUMNS:
        if name not in bars.columns:
            continue
        # Rows after the last complete window must not count into that window.
        values = bars[name].to_numpy(dtype=np.float64)[: stop[-1] if len(stop) else 0]
        if name == "open":
            columns[name] = values[begin]
        elif name == "close":
            columns[name] = values[stop - 1]
        else:
            columns[name] = reducers[name].reduceat(values, begin) if len(begin) else values
    if not columns:
        allowed = ", ".join(VALUE_COLUMNS)
        raise InvalidRequest({"bars": [f"The bars have none of the columns {allowed}."]})
    return columns


def make_bars(
    base: pd.DataFrame, length: BarLength, part: Part, columns: tuple[str, ...], form: Form
) -> Any:
    """Return the part of the bars that `base` adds up to, in the form that `load` describes.

    All of the bars are whole: a forming bar is never made.
    """
    made = resample(base, length.value)
    first, last = part.bounds(index_ms(made), is_forming=False)
    frame = made.iloc[first:last][list(columns)]
    frame.attrs["last_bar_final"] = True if len(frame) else None
    return convert(frame, form)


def make_table(table: pa.Table, facts: dict[str, Any], length: BarLength) -> pa.Table:
    """Return the whole bars of `length` that the newest bars of a dataset add up to.

    `table` has `BAR_SCHEMA` and ends with the dataset's last bar; so has the result. `facts` are
    named as in the metadata of the dataset's file. Raises `InvalidRequest` where the exchange's
    hours are not known.
    """
    instrument, timeframe = facts["instrument"], facts["key"]["timeframe"]
    calendar = Calendar.of(instrument)
    if not calendar.is_known:
        message = f"Bars of {length.value} cannot be made. {calendar.why_unknown}"
        raise InvalidRequest({"timeframe": [message]})
    edge = {"last": facts["last_time"]}
    if is_final(facts):
        edge["closed_by"] = datetime.fromtimestamp(closed_by(facts) / 1000, UTC).isoformat()
    else:
        edge["forming"] = facts["last_time"]
    bars = table.to_pandas().set_index("time")
    bars.attrs.update(timeframe=timeframe, edge=edge)
    bars.attrs.update({name: instrument.get(name, "") for name in CALENDAR_FACTS})
    made = resample(bars, length.value).reset_index()
    return pa.Table.from_pandas(made[BAR_SCHEMA.names], schema=BAR_SCHEMA, preserve_index=False)
