"""Trading hours: sessions, breaks and holidays of each market, in local time and in UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from samplefeed.holidays import (
    european_holidays,
    fixed_holidays,
    us_early_closes,
    us_holidays,
)

Integers = npt.NDArray[np.int64]

DAY_SECONDS = 86_400
FIRST_DAY, END_DAY = -7_305, 27_394  # 1950-01-01 up to 2045-01-01
_OFFSET_BLOCK = 512


def _no_days() -> frozenset[int]:
    return frozenset()


@dataclass(frozen=True)
class Market:
    """One set of trading hours.

    A leg is a period of trade without a break. Its bounds are minutes of local time after the
    midnight that starts the trading day; they are negative on the evening before.
    """

    timezone: str
    session: str
    legs: tuple[tuple[int, int], ...]
    is_open_at_weekends: bool = False
    holidays: Callable[[], frozenset[int]] = _no_days
    early_closes: Callable[[], frozenset[int]] = _no_days
    early_close_minute: int = 0
    # None for markets without an extended session.
    premarket: tuple[int, int] | None = None
    postmarket: tuple[int, int] | None = None

    def all_legs(self, session: str) -> tuple[tuple[int, int], ...]:
        """Return the legs of the `regular` or `extended` session, in order of time."""
        if session != "extended" or self.premarket is None or self.postmarket is None:
            return self.legs
        return (self.premarket, *self.legs, self.postmarket)

    def bounds(self, session: str) -> tuple[int, int]:
        """Return the first minute of the session and the minute after its last."""
        legs = self.all_legs(session)
        return legs[0][0], legs[-1][1]


@cache
def trading_days(market: Market, first_day: int) -> Integers:
    """Return the market's trading days from `first_day` to 2044, as day numbers."""
    days = np.arange(max(first_day, FIRST_DAY), END_DAY, dtype=np.int64)
    is_open = ~np.isin(days, np.array(sorted(market.holidays()), dtype=np.int64))
    if not market.is_open_at_weekends:
        is_open &= weekdays(days) < 5
    return days[is_open]


def weekdays(days: Integers) -> Integers:
    """Return the weekday of each day number; Monday is 0."""
    return (days + 3) % 7


def midnights(market: Market, days: Integers) -> Integers:
    """Return the UTC second of the local midnight that starts each trading day.

    The offset at noon counts for the whole day. Markets with daylight saving time are closed
    in the hours when it changes, so a trading day has one offset. An evening session on the
    Sunday of the change opens after the change.
    """
    blocks = days // _OFFSET_BLOCK
    offsets = np.empty_like(days)
    for block in np.unique(blocks):
        chosen = blocks == block
        table = _offset_block(market.timezone, int(block))
        offsets[chosen] = table[days[chosen] - block * _OFFSET_BLOCK]
    return days * DAY_SECONDS - offsets


@cache
def _offset_block(timezone: str, block: int) -> Integers:
    # Noon in the local time of the exchange.
    noon = datetime(1970, 1, 1, 12, tzinfo=ZoneInfo(timezone))
    noons = (noon + timedelta(days=block * _OFFSET_BLOCK + n) for n in range(_OFFSET_BLOCK))
    offsets = [one.utcoffset() or timedelta() for one in noons]
    return np.array([int(offset.total_seconds()) for offset in offsets], dtype=np.int64)


def leg_lengths(market: Market, leg: tuple[int, int], days: Integers) -> Integers:
    """Return the number of minutes of the leg on each day; early closes have fewer."""
    lengths = np.full(len(days), leg[1] - leg[0], dtype=np.int64)
    is_early = np.isin(days, np.array(sorted(market.early_closes()), dtype=np.int64))
    lengths[is_early] = max(0, min(leg[1], market.early_close_minute) - leg[0])
    return lengths


def session_end_minutes(market: Market, session: str, days: Integers) -> Integers:
    """Return the minute after the last minute of each day's session."""
    ends = np.full(len(days), market.bounds(session)[1], dtype=np.int64)
    is_early = np.isin(days, np.array(sorted(market.early_closes()), dtype=np.int64))
    ends[is_early] = market.early_close_minute
    return ends


def _clock(text: str) -> int:
    return int(text[:2]) * 60 + int(text[2:])


def _leg(text: str, days_before: int = 0) -> tuple[int, int]:
    start, end = text.split("-")
    return _clock(start) - days_before * 1440, _clock(end)


def _us_market(session: str) -> Market:
    return Market(
        "America/New_York",
        session,
        (_leg(session),),
        holidays=us_holidays,
        early_closes=us_early_closes,
        early_close_minute=_clock("1300"),
        premarket=_leg("0400-0930") if session == "0930-1600" else None,
        postmarket=_leg("1600-2000") if session == "0930-1600" else None,
    )


_new_year_and_christmas = partial(fixed_holidays, (1, 1), (12, 25))
_indian_holidays = partial(fixed_holidays, (1, 26), (5, 1), (8, 15), (10, 2), (12, 25))
_vietnamese_holidays = partial(fixed_holidays, (1, 1), (4, 30), (5, 1), (9, 2))
_japanese_holidays = partial(
    fixed_holidays, (1, 1), (1, 2), (1, 3), (5, 3), (5, 4), (5, 5), (12, 31)
)


def _overnight(text: str) -> Market:
    return Market(
        "America/New_York", text, (_leg(text, days_before=1),), holidays=_new_year_and_christmas
    )


MARKETS: dict[str, Market] = {
    "crypto": Market("Etc/UTC", "24x7", ((0, 1440),), is_open_at_weekends=True),
    "us_stocks": _us_market("0930-1600"),
    "us_indices": _us_market("0930-1610"),
    "forex": _overnight("1700-1700"),
    "futures": _overnight("1800-1700"),
    "nse": Market("Asia/Kolkata", "0915-1530", (_leg("0915-1530"),), holidays=_indian_holidays),
    "hose": Market(
        "Asia/Ho_Chi_Minh",
        "0900-1500",
        (_leg("0900-1130"), _leg("1300-1500")),
        holidays=_vietnamese_holidays,
    ),
    "tokyo": Market(
        "Asia/Tokyo",
        "0900-1530",
        (_leg("0900-1130"), _leg("1230-1530")),
        holidays=_japanese_holidays,
    ),
    "london": Market(
        "Europe/London", "0800-1630", (_leg("0800-1630"),), holidays=european_holidays
    ),
    "xetra": Market("Europe/Berlin", "0900-1730", (_leg("0900-1730"),), holidays=european_holidays),
}
