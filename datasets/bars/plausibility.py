"""Checks of a whole reply against what was asked: bar length, grid, clock, prices of zero.

A certain contradiction is an error. What only looks odd is a doubt: its code and the number of
bars stay with the dataset. Illiquid, delayed and old series look odd and are right.
Knows no Django, no files and no network.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from datasets.bars import Instrument, Session, Timeframe
from datasets.errors import BadBars, WrongBars

Floats = npt.NDArray[np.float64]

# Every doubt a dataset can have: its stable code, and the words that follow the number of bars.
DOUBTS = {
    "instrument": "from another listing than asked",
    "spacing": "not spaced as the timeframe says",
    "off_grid": "off the bar grid",
    "future": "later than this machine's clock",
    "zero_price": "with a price of zero",
    "completed_twice": "in a reply that was completed twice",
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Clocks of two machines differ; a day or longer may be opened before its session.
_CLOCK_TOLERANCE_S = 300
_EARLY_OPENING_S = 3 * _DAY
# Nominal length, and the spacing that real bars keep also around holidays and evening sessions.
_LONG = {
    Timeframe.DAY_1: (_DAY, 12 * _HOUR),
    Timeframe.WEEK_1: (7 * _DAY, 2 * _DAY),
    Timeframe.MONTH_1: (30 * _DAY, 10 * _DAY),
}
_LEAST_SPACINGS = 10
_SESSION_START = re.compile(r"(?<!\d)(\d{2})(\d{2})(?:F\d?)?-")


def check_clock(times: Floats, timeframe: Timeframe, *, feed_now: float, own_now: float) -> int:
    """Return how many bars open later than our own clock says it is.

    Raises `WrongBars` when one opens later than both clocks allow.
    """
    tolerance = _CLOCK_TOLERANCE_S if timeframe.is_intraday else _EARLY_OPENING_S
    newest = float(times.max())
    if newest > max(feed_now, own_now) + tolerance:
        raise WrongBars(
            f"TradingView sent a bar of {_iso(newest)}, which lies in the future: this machine's clock says "
            f"{_iso(own_now)}, TradingView's {_iso(feed_now)}. Nothing was stored. Set this machine's clock "
            "if it is wrong."
        )
    return int(np.count_nonzero(times > own_now + tolerance))


def check_seconds(times: Floats, timeframe: Timeframe) -> None:
    """Raise `BadBars` when an intraday bar does not open at a whole minute."""
    odd = times[times % _MINUTE != 0]
    if timeframe.is_intraday and len(odd):
        raise BadBars(f"A bar opens at {_iso(odd[0])}; bars of {timeframe} open at whole minutes.")


def check_spacing(
    times: Floats, timeframe: Timeframe, instrument: Instrument, *, close_time: float | None
) -> int:
    """Return the number of bars when they do not look as long as asked, else 0.

    `times` are increasing; `close_time` is the feed's `bar_close_time` of the last bar.
    Raises `WrongBars` when they certainly have another length.
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
    """Return whether intraday bars stand suspiciously close; raise where they certainly do.

    A bar that ends with its session is shorter: HKEX's hours open at 09:30 and 10:00. So single
    short spacings are right; three equal ones in a row, or half of all below half a bar, are not.
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
    """Return whether days, weeks or months stand suspiciously close; raise where they certainly do.

    The caller leaves out the first spacing: a listing may begin on any day of its month.
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
    """Return whether the bars are spaced like longer ones; raise where their close says so too.

    Spacing alone proves nothing: an auction trades once a day, a statistic is published weekly.
    """
    length = _length_s(timeframe)
    middle = float(np.percentile(spacings, 50, method="lower"))
    is_regular = (np.abs(spacings - middle) <= middle / 10).mean() >= 1 / 3
    is_far = len(spacings) >= _LEAST_SPACINGS and spacings.min() >= 2 * length and is_regular
    if not is_far or timeframe is Timeframe.MONTH_1 or instrument.type == "economic":
        return False
    # Days around a holiday are one bar of up to four days.
    longest = length * 1.5 if timeframe.is_intraday else max(length * 1.5, 4 * _DAY)
    if close_time is not None and close_time - times[-1] > longest + instrument.delay_s:
        raise _wrong_length(timeframe, middle)
    # Some exchanges are open for less than four hours a day.
    return length < 2 * _HOUR or not timeframe.is_intraday


def _wrong_length(timeframe: Timeframe, spacing: float) -> WrongBars:
    return WrongBars(
        f"TradingView was asked for bars of {timeframe} and answered with bars of another length: "
        f"they open {_span(spacing)} apart."
    )


def count_off_grid(
    times: Floats, timeframe: Timeframe, instrument: Instrument, session: Session
) -> int:
    """Return how many intraday bars open where no bar of their length does."""
    if timeframe.minutes in (None, 1):
        return 0
    length = _length_s(timeframe)
    if instrument.session_hours == "24x7" and instrument.timezone == "Etc/UTC":
        return int(np.count_nonzero(times % length))
    is_lone = np.zeros(len(times), dtype=bool)
    phases = times % length
    if len(times) > 2:
        before, here, after = phases[:-2], phases[1:-1], phases[2:]
        # Among its neighbours: a bar that begins a session stands apart from one of them.
        is_within = times[2:] - times[:-2] < 4 * length
        is_lone[1:-1] = (before == after) & (here != before) & is_within
    starts = _session_phases(instrument, length, float(times[-1]))
    if session is Session.REGULAR and len(starts):
        is_off = ~np.isin(phases, starts)
        # Hours change over the years and hide breaks; not where most bars lie.
        if is_off.mean() > 0.5:
            is_lone |= is_off
    return int(np.count_nonzero(is_lone))


def _session_phases(instrument: Instrument, length: int, moment: float) -> Floats:
    """Return where bars of a session start within `length`, in UTC; empty where that is not known."""
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
    """Return how many bars have a price of zero though the instrument was nowhere near it.

    `prices` has a row of four for each bar. Spreads and rates go through zero: where a price is
    below zero, or small beside the zero, zero is a price like any other.
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


def _span(seconds: float) -> str:
    for unit, size in (("days", _DAY), ("hours", _HOUR), ("minutes", _MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
