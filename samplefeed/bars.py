"""Synthetic bars of any timeframe, for replies and for the tests that check them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from samplefeed import hours
from samplefeed.adjustments import wire_rows
from samplefeed.instruments import Instrument, find_instrument
from samplefeed.memory import BoundedMemory
from samplefeed.noise import Floats, Integers
from samplefeed.synthetic import (
    CLOSE,
    HIGH,
    LOW,
    TIME,
    VOLUME,
    Days,
    Minutes,
    all_days,
    minutes_of,
)
from samplefeed.timeframes import Timeframe, parse_timeframe

_BLOCK_DAYS = 32
_NO_PRICE = np.int64(2**62)
FIRST_INTRADAY_DAY = 14_610  # 2010-01-01: the history of minutes is shorter than that of days
_blocks: BoundedMemory[Integers] = BoundedMemory(
    max_bytes=160_000_000, size_of=lambda table: table.nbytes
)


@dataclass(frozen=True)
class Bars:
    """Bars of a reply, oldest first.

    Rows are time, open, high, low, close and, if the instrument has it, volume.
    `close_at` is the end of the last bar in TradingView's form; if it is in the future, the
    last bar is forming.
    """

    rows: Floats
    close_at: int
    # UTC midnight of a daily bar's trading day; else the exchange's wall clock as if UTC.
    mark_times: Integers
    is_forming: bool
    is_beginning: bool  # there are no older bars

    def __len__(self) -> int:
        return len(self.rows)

    def as_lists(self) -> list[list[float]]:
        """Return the rows as plain lists."""
        listed: list[list[float]] = self.rows.tolist()
        return listed


@dataclass(frozen=True)
class Request:
    """A request for the newest `n_bars` that opened at or before `now` and before `before`."""

    timeframe: Timeframe
    n_bars: int
    now: float
    before: float | None = None
    session: str = "regular"
    adjustment: str = "splits"


def bars_for(
    full_symbol: str,
    timeframe: str,
    n_bars: int,
    *,
    now: float,
    session: str = "regular",
    adjustment: str = "splits",
    before: float | None = None,
) -> list[list[float]]:
    """Return the bars of the server's reply to this request, as lists of 5 or 6 numbers.

    Raises `ValueError` for a symbol or a timeframe that the server refuses.
    """
    instrument, parsed = find_instrument(full_symbol), parse_timeframe(timeframe)
    if instrument is None or not isinstance(parsed, Timeframe):
        raise ValueError(f"The feed has no {full_symbol} at {timeframe}.")
    request = Request(parsed, n_bars, now, before, session, adjustment)
    return make_bars(instrument, request).as_lists()


def make_bars(instrument: Instrument, request: Request) -> Bars:
    """Return the bars of one request."""
    # A delayed feed has no trades of the last minutes.
    known_until = request.now - instrument.delay
    days = all_days(instrument)
    n_days = int(np.searchsorted(days.opens, _opening(instrument, request, known_until), "right"))
    request = replace(request, now=known_until)
    if not request.timeframe.is_intraday:
        return _daily_bars(instrument, request, days, n_days)
    return _intraday_bars(instrument, request, days, n_days)


def _opening(instrument: Instrument, request: Request, now: float) -> float:
    """Return the latest regular opening of a day whose session has begun at `now`."""
    if not request.timeframe.is_intraday:
        return now
    market = instrument.hours
    return now + 60 * (market.bounds("regular")[0] - market.bounds(request.session)[0])


# --- days and longer ------------------------------------------------------------------


def _daily_bars(instrument: Instrument, request: Request, days: Days, n_days: int) -> Bars:
    table = days.table[:n_days].copy()
    if n_days and days.closes[n_days - 1] > request.now:
        minutes = _minutes_until(instrument, "regular", n_days - 1, request.now)
        table[-1] = _merge_minutes(instrument, minutes, slice(n_days - 1, n_days), 1440)[0]
    groups = _period_groups(request.timeframe, days.numbers[: n_days + 64])
    starts = np.flatnonzero(np.diff(groups[:n_days], prepend=groups[0] - 1))
    ends = np.flatnonzero(np.diff(groups, append=groups[-1] + 1))
    merged = table[starts]
    if len(starts):
        merged[:, HIGH] = np.maximum.reduceat(table[:, HIGH], starts)
        merged[:, LOW] = np.minimum.reduceat(table[:, LOW], starts)
        merged[:, VOLUME] = np.add.reduceat(table[:, VOLUME], starts)
        merged[:, CLOSE] = table[np.append(starts[1:], len(table)) - 1, CLOSE]
    last_day = int(ends[max(len(starts) - 1, 0)])
    dates = days.numbers[starts] * hours.DAY_SECONDS
    close_at = _close_at(instrument, int(days.closes[last_day]), is_session_end=True)
    return _cut(instrument, request, merged, dates, int(days.closes[last_day]), close_at)


def _period_groups(timeframe: Timeframe, numbers: Integers) -> Integers:
    """Return a group number for each day; the days of one bar share it."""
    if timeframe.unit == "W":
        return (numbers + 3) // 7
    if timeframe.unit == "M":
        months = numbers.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return months // timeframe.count
    return numbers


# --- within the day -------------------------------------------------------------------


def _intraday_bars(instrument: Instrument, request: Request, days: Days, n_days: int) -> Bars:
    first = int(np.searchsorted(days.numbers, FIRST_INTRADAY_DAY))
    parts: list[Integers] = []
    n_found, position = 0, n_days
    while position > first and n_found < request.n_bars + 1:
        position, part = _block_before(instrument, request, position, n_days, first)
        part = part if request.before is None else part[part[:, TIME] < request.before]
        parts.insert(0, part)
        n_found += len(part)
    table = np.concatenate(parts) if parts else np.empty((0, 6), dtype=np.int64)
    day_of = np.searchsorted(days.opens, table[:, TIME] + _lead(instrument, request), "right") - 1
    numbers = days.numbers[np.maximum(day_of, 0)]
    offsets = numbers * hours.DAY_SECONDS - hours.midnights(instrument.hours, numbers)
    end, close_at = _intraday_end(instrument, request, table, days, day_of)
    return _cut(instrument, request, table, table[:, TIME] + offsets, end, close_at)


def _lead(instrument: Instrument, request: Request) -> int:
    return int(_opening(instrument, request, 0.0))


def _block_before(
    instrument: Instrument, request: Request, position: int, n_days: int, first: int
) -> tuple[int, Integers]:
    """Return the bars of a block of days before `position`, and the position of its first day."""
    minutes = request.timeframe.count
    if position == n_days:
        # Today is a block of its own: its bars may be forming, so they must not be cached.
        today = slice(position - 1, position)
        trade = _minutes_until(instrument, request.session, position - 1, request.now)
        return position - 1, _merge_minutes(instrument, trade, today, minutes)
    start = max((position - 1) // _BLOCK_DAYS * _BLOCK_DAYS, first)
    block = start // _BLOCK_DAYS
    chosen = slice(block * _BLOCK_DAYS, (block + 1) * _BLOCK_DAYS)
    # History does not change, so the bars of a whole block are cached.
    table = _blocks.get(
        (instrument.full_symbol, request.session, minutes, block),
        lambda: _merge_minutes(
            instrument, minutes_of(instrument, request.session, chosen), chosen, minutes
        ),
    )
    opens = all_days(instrument).opens
    lead = _lead(instrument, request)
    inside = (table[:, TIME] + lead >= opens[start]) & (table[:, TIME] + lead < opens[position])
    return start, table[inside]


def _merge_minutes(
    instrument: Instrument, minutes: Minutes, chosen: slice, per_bar: int
) -> Integers:
    """Merge the minutes of the days `chosen` to bars."""
    first = minutes.offsets[0]
    groups = (minutes.offsets - first) // per_bar
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    ends = np.append(starts[1:], len(groups)) - 1
    midnights = hours.midnights(instrument.hours, all_days(instrument).numbers[chosen])
    times = midnights[:, None] + 60 * (first + groups[starts] * per_bar)
    highs = np.where(minutes.is_traded, minutes.highs, -1)
    lows = np.where(minutes.is_traded, minutes.lows, _NO_PRICE)
    columns = [
        times,
        minutes.opens[:, starts],
        np.maximum.reduceat(highs, starts, axis=1),
        np.minimum.reduceat(lows, starts, axis=1),
        minutes.closes[:, ends],
        np.add.reduceat(minutes.volumes, starts, axis=1),
    ]
    table = np.stack(columns, axis=2).reshape(-1, 6)
    return table[table[:, HIGH] >= 0]


def _minutes_until(instrument: Instrument, session: str, position: int, now: float) -> Minutes:
    """Return one day's minutes up to `now`; the last minute may be forming."""
    minutes = minutes_of(instrument, session, slice(position, position + 1))
    number = all_days(instrument).numbers[position : position + 1]
    starts = hours.midnights(instrument.hours, number)[0] + 60 * minutes.offsets
    begun = int(np.searchsorted(starts, now, "right"))
    if begun == 0 or (begun == len(starts) and now >= starts[-1] + 60):
        return minutes
    return _cut_minutes(minutes, begun - 1, min((now - starts[begun - 1]) / 60, 1.0))


def _cut_minutes(minutes: Minutes, last: int, share: float) -> Minutes:
    """Return the minutes up to `last`, with only the part `share` of minute `last`."""
    opens, highs = minutes.opens.copy(), minutes.highs.copy()
    lows, closes, volumes = minutes.lows.copy(), minutes.closes.copy(), minutes.volumes.copy()
    is_traded = minutes.is_traded & (np.arange(opens.shape[1]) <= last)
    start, end = int(opens[0, last]), int(closes[0, last])
    price = start + round((end - start) * share)
    if share < 1.0:
        highs[0, last] = highs[0, last] if share > 0.5 else max(start, price)
        lows[0, last] = lows[0, last] if share > 0.5 else min(start, price)
        volumes[0, last] = int(volumes[0, last] * share)
    closes[0, last:] = price
    opens[0, last + 1 :] = price
    volumes[0, last + 1 :] = 0
    return Minutes(minutes.offsets, opens, highs, lows, closes, volumes, is_traded)


def _intraday_end(
    instrument: Instrument, request: Request, table: Integers, days: Days, day_of: Integers
) -> tuple[int, int]:
    """Return the end of the last bar, and its `bar_close_time`."""
    if not len(table):
        return 0, 0
    number = days.numbers[day_of[-1] : day_of[-1] + 1]
    minute = hours.session_end_minutes(instrument.hours, request.session, number)[0]
    session_end = int(hours.midnights(instrument.hours, number)[0] + 60 * minute)
    end = min(int(table[-1, TIME]) + 60 * request.timeframe.count, session_end)
    return end, _close_at(instrument, end, is_session_end=end == session_end)


# --- all timeframes -------------------------------------------------------------------


def _close_at(instrument: Instrument, end: int, *, is_session_end: bool) -> int:
    """Return `bar_close_time`: the end of the bar, one second less at the end of a session."""
    is_round_the_clock = instrument.hours.session == "24x7"
    return end - (is_session_end and not is_round_the_clock) + instrument.delay


def _cut(
    instrument: Instrument,
    request: Request,
    table: Integers,
    marks: Integers,
    end: int,
    close_at: int,
) -> Bars:
    """Return the last `n_bars` of the table in the form of a reply."""
    wanted = slice(0, len(table))
    if request.before is not None:
        wanted = slice(0, int(np.searchsorted(table[:, TIME], request.before)))
    kept = table[wanted][-request.n_bars :] if request.n_bars > 0 else table[:0]
    marks = marks[wanted][-len(kept) :] if len(kept) else marks[:0]
    return Bars(
        rows=wire_rows(instrument, kept, request.adjustment),
        close_at=close_at,
        mark_times=marks,
        is_forming=bool(len(kept)) and request.before is None and end > request.now,
        is_beginning=len(table[wanted]) <= request.n_bars,
    )
