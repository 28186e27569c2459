"""Checks of a whole reply against its request: bar length, bar grid, clock, prices of zero.

A certain contradiction raises an error. An oddity is a doubt: its code and its number of bars
stay with the dataset, since bars of illiquid, delayed or old series look odd and are correct.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from datasets.bars.instruments import Instrument
from datasets.bars.keys import Session
from datasets.bars.tables import iso_instant
from datasets.bars.timeframes import Timeframe
from datasets.errors import BadBars, WrongBars

Floats = npt.NDArray[np.float64]

# All doubts: the stable code, and the words that follow the number of bars.
DOUBTS = {
    "instrument": "from another listing than asked",
    "spacing": "not spaced as the timeframe says",
    "off_grid": "off the bar grid",
    "future": "later than this machine's clock",
    "zero_price": "with a price of zero",
    "completed_twice": "in a reply that was completed twice",
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Clocks of two machines differ. A bar of a day or longer can open before its session.
_CLOCK_TOLERANCE_S = 300
_EARLY_OPENING_S = 3 * _DAY
# Nominal length, and the shortest spacing of correct bars around holidays and evening sessions.
_LONG = {
    Timeframe.DAY_1: (_DAY, 12 * _HOUR),
    Timeframe.WEEK_1: (7 * _DAY, 2 * _DAY),
    Timeframe.MONTH_1: (30 * _DAY, 10 * _DAY),
}
_LEAST_SPACINGS = 10
_SESSION_START = re.compile(r"(?<!\d)(\d{2})(\d{2})(?:F\d?)?-")


def check_clock(times: Floats, timeframe: Timeframe, *, feed_now: float, own_now: float) -> int:
    """Return how many bars open later than the time of our own clock.

    All times are UNIX seconds. Raises `WrongBars` for a bar that opens later than both clocks
    allow.
    """
    tolerance = clock_tolerance_s(timeframe)
    newest = float(times.max())
    if newest > max(feed_now, own_now) + tolerance:
        raise WrongBars(
            f"TradingView sent a bar of {iso_instant(newest)}, which lies in the future: this machine's clock says "
            f"{iso_instant(own_now)}, TradingView's {iso_instant(feed_now)}. Nothing was stored. Set this machine's clock "
            "if it is wrong."
        )
    return int(np.count_nonzero(times > own_now + tolerance))


def clock_tolerance_s(timeframe: Timeframe) -> int:
    """Return how much later than a clock the newest bar may open, in seconds."""
    return _CLOCK_TOLERANCE_S if timeframe.is_intraday else _EARLY_OPENING_S


def check_seconds(times: Floats, timeframe: Timeframe) -> None:
    """Raise `BadBars` when an intraday bar does not open at a whole minute."""
    odd = times[times % _MINUTE != 0]
    if timeframe.is_intraday and len(odd):
        raise BadBars(
            f"A bar opens at {iso_instant(odd[0])}; bars of {timeframe} open at whole minutes."
        )


def check_spacing(
    times: Floats, timeframe: Timeframe, instrument: Instrument, *, close_time: float | None
) -> int:
    """Return the number of bars if their length is doubtful, else 0.

    `times` are increasing UNIX seconds; `close_time` is the feed's `bar_close_time` of the last
    bar. Raises `WrongBars` when the bars certainly have another length than `timeframe`.
    """
    spacings = np.diff(times)
    if not len(spacings):
        return 0
    is_doubtful = (
        _are_too_close(spacings, timeframe, instrument)
        if timeframe.is_intraday
        else _are_days_too_close(spacings[1:], timeframe)
    ) or _are_too_far(times, spacings, timeframe, instrument, close_time)
    return len(times) if is_doubtful else 0


def _are_too_close(spacings: Floats, timeframe: Timeframe, instrument: Instrument) -> bool:
    """Return whether intraday bars are doubtfully close; raise where they are certainly too close.

    A bar that ends with its session is shorter: hourly bars of HKEX open at 09:30 and 10:00. So
    single short spacings are correct. Three equal short spacings in a row are wrong, and so are
    bars of which half are closer than half a bar.
    """
    length = _length_s(timeframe)
    first, second, third = spacings[:-2], spacings[1:-1], spacings[2:]
    chains = (first == second) & (second == third) & (third < length)
    halves = spacings < length / 2
    n_halves = int(np.count_nonzero(halves))
    has_chains = chains.any() and chains.mean() >= 0.1
    if has_chains or (n_halves >= 3 and halves.mean() >= 0.5) or _is_all(halves):
        raise _wrong_length(timeframe, float(np.median(spacings)))
    n_sessions = instrument.session_hours.count(",") + 1
    return len(spacings) > 3 and n_sessions < 3 and bool((spacings < length).mean() > 0.6)


def _are_days_too_close(spacings: Floats, timeframe: Timeframe) -> bool:
    """Return whether days, weeks or months are doubtfully close; raise where certainly too close.

    The caller omits the first spacing: a listing can begin on any day of its month.
    """
    short = spacings < _LONG[timeframe][1]
    n_short = int(np.count_nonzero(short))
    if (n_short >= 3 and short.mean() >= 0.25) or _is_all(short):
        raise _wrong_length(timeframe, float(np.median(spacings)))
    return n_short >= 2


def _is_all(flags: npt.NDArray[np.bool_]) -> bool:
    return len(flags) > 1 and bool(flags.all())


def _are_too_far(
    times: Floats,
    spacings: Floats,
    timeframe: Timeframe,
    instrument: Instrument,
    close_time: float | None,
) -> bool:
    """Return whether the bars are spaced like longer bars; raise where their close confirms it.

    Spacing alone proves nothing: an auction trades once a day, a statistic appears once a week.
    """
    length = _length_s(timeframe)
    middle = float(np.percentile(spacings, 50, method="lower"))
    is_regular = (np.abs(spacings - middle) <= middle / 10).mean() >= 1 / 3
    is_far = len(spacings) >= _LEAST_SPACINGS and spacings.min() >= 2 * length and is_regular
    if not is_far or timeframe is Timeframe.MONTH_1 or instrument.type == "economic":
        return False
    # Days around a holiday can be one bar of up to four days.
    longest = length * 1.5 if timeframe.is_intraday else max(length * 1.5, 4 * _DAY)
    if close_time is not None and close_time - times[-1] > longest + instrument.delay_s:
        raise _wrong_length(timeframe, middle)
    # Some exchanges are open for less than four hours a day.
    return length < 2 * _HOUR or not timeframe.is_intraday


def _wrong_length(timeframe: Timeframe, spacing: float) -> WrongBars:
    units = (("days", _DAY), ("hours", _HOUR), ("minutes", _MINUTE), ("seconds", 1))
    unit, size = next((each for each in units if spacing >= each[1]), units[-1])
    return WrongBars(
        f"TradingView was asked for bars of {timeframe} and answered with bars of another length: "
        f"they open {spacing / size:.3g} {unit} apart."
    )


def count_off_grid(
    times: Floats, timeframe: Timeframe, instrument: Instrument, session: Session
) -> int:
    """Return how many intraday bars open at a time that is no multiple of their length."""
    if timeframe.minutes in (None, 1):
        return 0
    length = _length_s(timeframe)
    if instrument.session_hours == "24x7" and instrument.timezone == "Etc/UTC":
        return int(np.count_nonzero(times % length))
    is_lone = np.zeros(len(times), dtype=bool)
    phases = times % length
    if len(times) > 2:
        before, here, after = phases[:-2], phases[1:-1], phases[2:]
        # A bar that begins a session is not close to both neighbours, and is correct.
        is_within = times[2:] - times[:-2] < 4 * length
        is_lone[1:-1] = (before == after) & (here != before) & is_within
    starts = _session_phases(instrument, length, float(times[-1]))
    if session is Session.REGULAR and len(starts):
        is_off = ~np.isin(phases, starts)
        # The hours cannot be right where most bars are off: they change over the years, and
        # do not show all breaks.
        if is_off.mean() > 0.5:
            is_lone |= is_off
    return int(np.count_nonzero(is_lone))


def _session_phases(instrument: Instrument, length: int, moment: float) -> Floats:
    """Return the sessions' starts in UTC, in seconds modulo `length`; empty where unknown."""
    starts = _SESSION_START.findall(instrument.session_hours)
    if not starts or _HOUR % length:
        return np.empty(0)
    try:
        offset = datetime.fromtimestamp(moment, ZoneInfo(instrument.timezone)).utcoffset()
    except (ValueError, OSError, OverflowError, ZoneInfoNotFoundError):
        return np.empty(0)
    seconds = offset.total_seconds() if offset else 0.0
    local = np.array([int(hour) * _HOUR + int(minute) * _MINUTE for hour, minute in starts])
    phases: Floats = (local - seconds) % length
    return phases


def count_zero_prices(prices: Floats, instrument: Instrument) -> int:
    """Return how many bars have an implausible price of zero.

    `prices` has the shape (n, 4). Spreads and rates go through zero: where a price is below
    zero, or the prices beside the zero are small, a price of zero is plausible.
    """
    lows = prices.min(axis=1)
    is_zero = np.any(prices == 0, axis=1)
    others = np.flatnonzero(~is_zero)
    if not is_zero.any() or not len(others) or lows.min() < 0 or instrument.type == "economic":
        return 0
    near = np.median(prices[others]) / 100
    places = np.flatnonzero(is_zero)
    position = np.searchsorted(others, places)
    before = others[np.maximum(position - 1, 0)]
    after = others[np.minimum(position, len(others) - 1)]
    return int(np.count_nonzero(np.minimum(lows[before], lows[after]) > near))


def _length_s(timeframe: Timeframe) -> int:
    minutes = timeframe.minutes
    return _LONG[timeframe][0] if minutes is None else minutes * _MINUTE
