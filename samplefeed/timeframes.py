"""TradingView's timeframes, and its reasons to refuse some of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from datasets import bars

_MINUTES = {timeframe.minutes for timeframe in bars.Timeframe if timeframe.is_intraday}
# TradingView has more lengths of months than the service.
_MONTHS = {1, 3, 6, 12}


@dataclass(frozen=True)
class Timeframe:
    """A number of minutes, days, weeks or months; `unit` is one of `minute D W M`."""

    unit: str
    count: int

    @property
    def is_intraday(self) -> bool:
        """Return whether a trading day holds several such bars."""
        return self.unit == "minute"


@dataclass(frozen=True)
class RefusedTimeframe:
    """A timeframe that TradingView refuses, with its reason."""

    reason: str


def parse_timeframe(text: str) -> Timeframe | RefusedTimeframe | None:
    """Return the timeframe of a text, or None for a text that TradingView calls invalid."""
    match = re.fullmatch(r"(\d{0,5})([HDWMSTR]?)", text)
    if match is None or not text:
        return None
    count, unit = int(match[1] or 1), match[2]
    if unit in {"S", "T", "R"}:
        return RefusedTimeframe(
            {"S": "seconds_not_entitled", "T": "ticks_not_entitled"}.get(
                unit, "resolution_not_entitled"
            )
        )
    if unit in {"", "H"}:
        minutes = count * 60 if unit else count
        if minutes in _MINUTES:
            return Timeframe("minute", minutes)
    elif unit == "M" and count in _MONTHS or unit in {"D", "W"} and count == 1:
        return Timeframe(unit, count)
    return RefusedTimeframe("custom_resolution")
