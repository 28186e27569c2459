"""Bars of a file: every line checked, every wrong line named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.bars import FetchedBars, Instrument, Timeframe, make_table, plausibility
from datasets.bars.series_keys import SeriesKey
from datasets.bars.tables import iso_instant
from datasets.errors import InvalidRequest, WrongBars
from datasets.importing.file_rows import FileRow, open_rows, too_long
from datasets.importing.values import NaiveTime, read_instant, read_price, read_volume
from datasets.storage.parquet_file import MAX_ROWS

# The error names the first wrong lines; the rest are counted.
MOST_NAMED = 20
_SHOWN_LENGTH = 60
_MINUTE_S = 60
_LONGEST_S = {Timeframe.DAY_1: 86_400, Timeframe.WEEK_1: 7 * 86_400, Timeframe.MONTH_1: 31 * 86_400}

Values = npt.NDArray[np.float64]


def read_file(
    path: Path,
    key: SeriesKey,
    *,
    now: datetime,
    name: str = "",
    zone: ZoneInfo | None = None,
    named_columns: Mapping[str, str] | None = None,
) -> FetchedBars:
    """Read and check all bars of a CSV or parquet file.

    Parameters
    ----------
    path, name
        The file, and its name for messages where that is another one.
    key
        The series that the bars belong to.
    now
        Aware: bars that open later are refused, and the last bar is final if it has closed.
    zone
        The time zone of times without an offset.
    named_columns
        The file's own names of columns, by `BAR_COLUMNS`; the usual names are found without.

    Returns
    -------
    FetchedBars
        The bars in the order of time, UTC, in either order in the file; `fetched_at` is `now`.

    Raises
    ------
    InvalidRequest
        The file, a column, the time zone, the timeframe or a line is wrong. Wrong lines are
        named with their number, column, value and what is allowed; at most `MOST_NAMED`.
    """
    name = name or path.name
    lines = _Lines(name, key.timeframe, now, zone)
    with open_rows(path, named_columns or {}, name=name) as file:
        lines.headers = file.headers
        for row in file.rows:
            lines.add(row)
    values = lines.sorted_values()
    table = make_table(values, has_volume=~np.isnan(values[:, 5]))
    has_volume = table["volume"].null_count < table.num_rows
    instrument = Instrument(
        pro_name=key.full_symbol, description=f"Imported from {name}", has_volume=has_volume
    )
    minutes = key.timeframe.minutes
    length_s = _LONGEST_S[key.timeframe] if minutes is None else minutes * _MINUTE_S
    return FetchedBars(
        table=table,
        instrument=instrument,
        fetched_at=now,
        last_bar_final=values[-1, 0] + length_s <= now.timestamp(),
        doubts=doubts_of(table, key, instrument),
    )


def doubts_of(table: pa.Table, key: SeriesKey, instrument: Instrument) -> dict[str, int]:
    """Return the doubts about bars, as for a fetch; raise `InvalidRequest` for another bar length."""
    times = table["time"].cast(pa.int64()).to_numpy() / 1000
    prices = np.column_stack([table[name].to_numpy() for name in ("open", "high", "low", "close")])
    try:
        n_spacing = plausibility.check_spacing(times, key.timeframe, instrument, close_time=None)
    except WrongBars as error:
        minutes = float(np.median(np.diff(times))) / _MINUTE_S
        sentence = f"The bars open {minutes:g} minutes apart, so they are no bars of {key.timeframe.label}; name their timeframe."
        raise InvalidRequest({"timeframe": [sentence]}) from error
    doubts = {
        "spacing": n_spacing,
        "off_grid": plausibility.count_off_grid(times, key.timeframe, instrument, key.session),
        "zero_price": plausibility.count_zero_prices(prices, instrument),
    }
    return {code: number for code, number in doubts.items() if number}


class _Lines:
    """The lines of one file: their values, and the problems found so far."""

    def __init__(
        self, name: str, timeframe: Timeframe, now: datetime, zone: ZoneInfo | None
    ) -> None:
        self.headers: list[str] = []
        self._name, self._timeframe, self._zone = name, timeframe, zone
        self._latest_s = now.timestamp() + plausibility.clock_tolerance_s(timeframe)
        self._rows: list[tuple[float, ...]] = []
        self._lines: dict[int, int] = {}
        self._unit = ""
        self._problems: list[str] = []
        self._n_wrong = 0

    def add(self, row: FileRow) -> None:
        """Check one line; keep its values, or the description of its problem."""
        if len(self._rows) >= MAX_ROWS:
            raise too_long(self._name)
        problems = [row.problem] if row.problem else []
        values: list[Any] = []
        for place, value in enumerate(row.values):
            try:
                if place == 0:
                    values.append(self._read_time(value, row.line))
                else:
                    values.append(read_volume(value) if place == 5 else read_price(value))
            except NaiveTime as error:
                sentence = (
                    f"Line {row.line} has the time {str(value)!r} without a UTC offset, so its instant is unknown. "
                    "Name the file's time zone, such as UTC or America/New_York."
                )
                raise InvalidRequest({"time_zone": [sentence]}) from error
            except ValueError as error:
                problems.append(self._described(place, value, str(error)))
        if not problems and values[2] < values[3]:
            problems.append(self._described(2, row.values[2], f"it is below the low, {values[3]}"))
        if problems:
            self._n_wrong += 1
            if self._n_wrong <= MOST_NAMED:
                self._problems.append(f"Line {row.line} {'; '.join(problems)}.")
            return
        self._rows.append(tuple(np.nan if value is None else value for value in values))

    def _read_time(self, value: Any, line: int) -> float:
        seconds, unit = read_instant(value, self._zone)
        if unit and unit != (self._unit or unit):
            raise ValueError(f"it is a time in {unit}, and earlier lines are in {self._unit}")
        if self._timeframe.is_intraday and seconds % _MINUTE_S:
            raise ValueError(f"bars of {self._timeframe.label} open at whole minutes")
        if seconds > self._latest_s:
            raise ValueError(f"{iso_instant(seconds)} is later than this machine's clock")
        first = self._lines.setdefault(seconds, line)
        if first != line:
            raise ValueError(f"line {first} has the same time; a file has one line for each bar")
        self._unit = self._unit or unit
        return seconds

    def _described(self, place: int, value: Any, allowed: str) -> str:
        shown = str(value) if len(str(value)) <= _SHOWN_LENGTH else f"{str(value)[:_SHOWN_LENGTH]}…"
        return f"has {shown!r} in the column {self.headers[place]!r}: {allowed}"

    def sorted_values(self) -> Values:
        """Return the values by time, shape (n, 6), NaN for an absent volume; raise for wrong lines."""
        if self._n_wrong:
            lines = "line is" if self._n_wrong == 1 else "lines are"
            sentences = [
                f"{self._n_wrong} {lines} wrong in {self._name}, so nothing was imported.",
                *self._problems,
            ]
            if self._n_wrong > MOST_NAMED:
                sentences.append(f"{self._n_wrong - MOST_NAMED} more lines are wrong.")
            raise InvalidRequest({"file": sentences})
        if not self._rows:
            raise InvalidRequest({"file": [f"{self._name} has no bars."]})
        values = np.array(self._rows, dtype=np.float64)
        return values[np.argsort(values[:, 0])]
