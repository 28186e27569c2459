"""Bars with the times of the datafeed, and the part of them that one request asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.bars import BarLength, Timeframe
from datasets.calendars import Calendar, Integers, bar_days
from datasets.lru_cache import LruCache
from datasets.udf.held_series import HeldSeries

Numbers = npt.NDArray[np.float64]

DAY_S = 86_400
# The most bars of one reply.
MOST_BARS = 50_000
# Bars of each series in memory: a chart's first screen, and each of its later looks, is among them.
_N_NEWEST = 512
# A bar of a day or longer opens within this time of the beginning of its trading date in UTC.
_MARGIN = timedelta(days=4)
_MARGIN_BARS = 8
_NUMBERS = ("open", "high", "low", "close", "volume")
_LAST_S = 253_000_000_000

_newest: LruCache[tuple[Any, ...], TimedBars] = LruCache(
    1024 * _N_NEWEST, lambda key, bars: 1 + len(bars.times)
)


@dataclass(frozen=True, slots=True)
class TimedBars:
    """Bars of a series in order of time.

    `times` are UNIX seconds, each once, shape (n,): the opening of an intraday bar, 00:00 UTC of
    the trading date of a longer one. `opens_ms` are the openings, UNIX milliseconds. `columns` are
    the prices and the volume, float64, by the name in `BAR_SCHEMA`; a volume that is not there is
    NaN. `is_whole`: the series has no older bar than these.
    """

    times: Integers
    opens_ms: Integers
    columns: dict[str, Numbers]
    is_whole: bool

    @classmethod
    def of(cls, rows: pa.Table, times: Integers, *, is_whole: bool) -> TimedBars:
        """Return the rows of a table with these times.

        Of two bars of one trading date the later one counts: the charting library stops at equal times.
        """
        is_last = np.diff(times, append=np.iinfo(np.int64).max) > 0
        opens_ms = rows["time"].cast(pa.int64()).to_numpy()
        columns = {name: rows[name].to_numpy()[is_last] for name in _NUMBERS}
        return cls(times[is_last], opens_ms[is_last], columns, is_whole)

    def __getitem__(self, part: slice) -> TimedBars:
        """Return a part of the bars."""
        columns = {name: values[part] for name, values in self.columns.items()}
        return TimedBars(self.times[part], self.opens_ms[part], columns, self.is_whole)

    def chosen(self, from_s: int, to_s: int, countback: int) -> slice:
        """Return the bars before `to_s`: those from `from_s` on, and `countback` of them if that is more."""
        last = int(np.searchsorted(self.times, to_s))
        first = min(int(np.searchsorted(self.times, from_s)), last)
        return slice(max(0, min(first, last - countback)), last)

    def has_all(self, from_s: int, to_s: int, countback: int) -> bool:
        """Return whether no older bar than these is needed for `chosen`."""
        has_count = int(np.searchsorted(self.times, to_s)) >= countback
        has_range = from_s >= to_s or (bool(len(self.times)) and from_s >= int(self.times[0]))
        return self.is_whole or (has_count and has_range)


def times_of(opens_ms: Integers, held: HeldSeries, timeframe: Timeframe) -> Integers:
    """Return the datafeed's times of bars, UNIX seconds, from their openings in UNIX milliseconds."""
    if timeframe.is_intraday:
        return opens_ms // 1000
    length = BarLength.parse(timeframe.value)
    return bar_days(opens_ms, Calendar.of(held.instrument), length).dates * DAY_S


def bars_for(
    held: HeldSeries, timeframe: Timeframe, from_s: int, to_s: int, countback: int
) -> TimedBars:
    """Return the bars of one request; errors as for `HeldSeries.read`.

    Parameters
    ----------
    from_s, to_s
        UNIX seconds; `to_s` is not part of the range.
    countback
        Bars before `to_s` that are wanted also where they lie before `from_s`; 0 for none.
    """
    countback = min(countback, MOST_BARS)
    key = (*held.version, timeframe)
    found = _newest.find(key)
    if found is None:
        found = _timed(held, timeframe, end=None, start=None, n_bars=_N_NEWEST)
        _newest.keep(key, found)
    margin = timedelta(0) if timeframe.is_intraday else _MARGIN
    end = _instant(to_s) + margin
    if not found.has_all(from_s, to_s, countback) and countback:
        found = _timed(held, timeframe, start=None, end=end, n_bars=countback + _MARGIN_BARS)
    if not found.has_all(from_s, to_s, countback):
        start = _instant(from_s) - margin
        found = _timed(held, timeframe, start=start, end=end, n_bars=MOST_BARS)
    return found[found.chosen(from_s, to_s, countback)]


def _timed(
    held: HeldSeries,
    timeframe: Timeframe,
    *,
    start: datetime | None,
    end: datetime | None,
    n_bars: int,
) -> TimedBars:
    rows = held.read(start=start, end=end, n_bars=n_bars)
    times = times_of(rows["time"].cast(pa.int64()).to_numpy(), held, timeframe)
    is_whole = start is None and (held.is_one_file or rows.num_rows < n_bars)
    return TimedBars.of(rows, times, is_whole=is_whole)


def columns_of(bars: TimedBars) -> dict[str, Any]:
    """Return `t`, `o`, `h`, `l`, `c`, and `v` unless a bar has no volume: null would be drawn as NaN."""
    columns: dict[str, Any] = {"t": bars.times}
    columns |= {name[0]: bars.columns[name] for name in _NUMBERS}
    if np.isnan(columns["v"]).any():
        del columns["v"]
    return columns


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 10 * DAY_S), _LAST_S), UTC)
