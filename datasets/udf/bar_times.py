"""Bars with the times of the datafeed, and the part of them that one request asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets.bars import BarLength, Timeframe
from datasets.calendars import Calendar, Integers, bar_days
from datasets.lru_cache import LruCache
from datasets.udf.held_series import HeldSeries

DAY_S = 86_400
# The most bars of one reply.
MOST_BARS = 50_000
# Bars of each series in memory: a chart's first screen, and each of its later looks, is among them.
_N_NEWEST = 512
# A bar of a day or longer opens within this time of the beginning of its trading date in UTC.
_MARGIN = timedelta(days=4)
_MARGIN_BARS = 8
_LAST_S = 253_000_000_000

_newest: LruCache[tuple[Any, ...], TimedBars] = LruCache(
    1024 * _N_NEWEST, lambda key, bars: 1 + len(bars.times)
)


@dataclass(frozen=True, slots=True)
class TimedBars:
    """Bars of a series in order of time.

    `times` are UNIX seconds, each once, shape (n,): the opening of an intraday bar, 00:00 UTC of
    the trading date of a longer one. `rows` has the columns of `BAR_SCHEMA` and n rows.
    `is_whole`: the series has no older bar than these.
    """

    times: Integers
    rows: pa.Table
    is_whole: bool

    def chosen(self, from_s: int, to_s: int, countback: int) -> slice:
        """Return the bars before `to_s`: those from `from_s` on, and at least `countback` where there are so many."""
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
    part = found.chosen(from_s, to_s, countback)
    rows = found.rows.slice(part.start, part.stop - part.start)
    return TimedBars(found.times[part], rows, found.is_whole)


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
    # Two bars of one trading date: the charting library stops at equal times. The later one counts.
    is_last = np.diff(times, append=np.iinfo(np.int64).max) > 0
    is_whole = start is None and (held.is_one_file or rows.num_rows < n_bars)
    return TimedBars(times[is_last], rows.filter(pa.array(is_last)), is_whole)


def columns_of(bars: TimedBars) -> dict[str, Any]:
    """Return `t`, `o`, `h`, `l`, `c`, and `v` unless a bar has no volume: null would be drawn as NaN."""
    columns: dict[str, Any] = {"t": np.ascontiguousarray(bars.times)}
    for name in ("open", "high", "low", "close"):
        columns[name[0]] = np.ascontiguousarray(bars.rows[name].to_numpy())
    volume = bars.rows["volume"]
    if not pc.any(pc.is_null(volume)).as_py():
        columns["v"] = np.ascontiguousarray(volume.to_numpy())
    return columns


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 10 * DAY_S), _LAST_S), UTC)
