"""Timeframes: the lengths of bars and their accepted spellings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from datasets.errors import InvalidRequest

_SPELLING = re.compile(r"([1-9][0-9]{0,4})?(min|mo|MO|[mhHDdWwM])?")
_UNITS = {"": "m", "min": "m", "H": "h", "d": "D", "w": "W", "mo": "M", "MO": "M"}
# Units that stand for one of them without a number.
_ALONE = frozenset({"D", "d", "W", "w", "M", "mo"})
# Shorter than a day, and at most a year. A number of months must divide the year.
_LARGEST = {"m": 1439, "D": 366, "W": 53, "M": 12}


class Timeframe(StrEnum):
    """The length of a bar that TradingView sends, in its canonical spelling.

    `1` is a minute, `1M` a month. Other lengths are made of these: `BarLength`.
    """

    MIN_1 = "1"
    MIN_3 = "3"
    MIN_5 = "5"
    MIN_15 = "15"
    MIN_30 = "30"
    MIN_45 = "45"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_3 = "3h"
    HOUR_4 = "4h"
    DAY_1 = "1D"
    WEEK_1 = "1W"
    MONTH_1 = "1M"

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Return the timeframe of a spelling; raise `InvalidRequest` with all allowed timeframes.

        The case of letters counts: `1M` is a month and `1m` is a minute.
        """
        length = _read(text)
        if length is None or length.fetched is None:
            allowed = ", ".join(cls)
            raise InvalidRequest(
                {"timeframe": [f"{text!r} is no timeframe; use one of {allowed}."]}
            )
        return length.fetched

    @property
    def label(self) -> str:
        """The spelling in pages and output: minutes have their unit (`5m`)."""
        return self.value if self.value[-1].isalpha() else f"{self.value}m"

    @property
    def is_intraday(self) -> bool:
        """Whether a bar is shorter than a trading day."""
        return self.value[-1] not in "DWM"

    @property
    def minutes(self) -> int | None:
        """Length of an intraday bar in minutes; None for days, weeks and months."""
        if not self.is_intraday:
            return None
        return int(self.value[:-1]) * 60 if self.value.endswith("h") else int(self.value)


@dataclass(frozen=True, slots=True)
class BarLength:
    """Any length of a bar: `count` minutes (`m`), days (`D`), weeks (`W`) or months (`M`)."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the length of a spelling, such as `7`, `90m`, `6h`, `2D`, `2W`, `3M` or `12M`.

        All spellings of `Timeframe.parse`, with any number: minutes and hours below a day, up to
        366 days or 53 weeks, and months that divide a year. Raises `InvalidRequest` for others.
        """
        length = _read(text)
        if length is None:
            message = (
                f"{text!r} is no timeframe; use one of {', '.join(Timeframe)}, or a number of minutes or "
                "hours below a day, of days, of weeks, or of months that divide a year, such as 7, 6h, 2D, 2W, 3M."
            )
            raise InvalidRequest({"timeframe": [message]})
        return cls(length.count, length.unit)

    @property
    def value(self) -> str:
        """The canonical spelling, as of `Timeframe`."""
        if self.unit != "m":
            return f"{self.count}{self.unit}"
        return str(self.count) if self.count % 60 else f"{self.count // 60}h"

    @property
    def label(self) -> str:
        """The spelling in pages and output: minutes have their unit (`7m`)."""
        return self.value if self.value[-1].isalpha() else f"{self.value}m"

    @property
    def minutes(self) -> int | None:
        """Length of an intraday bar in minutes; None for days, weeks and months."""
        return self.count if self.unit == "m" else None

    @property
    def fetched(self) -> Timeframe | None:
        """The timeframe of this length that TradingView sends; None where it sends none."""
        return _FETCHED.get(self.value)

    @property
    def base(self) -> Timeframe:
        """The largest timeframe that TradingView sends and that divides this length."""
        minutes = self.minutes
        if minutes is None:
            return _FETCHED[f"1{self.unit}"]
        return max(
            (each for each in Timeframe if each.minutes and minutes % each.minutes == 0),
            key=lambda each: each.minutes or 0,
        )

    def n_base_bars(self, n_bars: int) -> int:
        """Return how many bars of `base` surely add up to `n_bars` whole bars of this length."""
        if self.fetched is not None:
            return n_bars
        minutes = self.base.minutes
        each = self.count if minutes is None else self.count // minutes
        # The first bar may be cut, and the last one may still be forming.
        return (n_bars + 2) * each


def _read(text: object) -> BarLength | None:
    """Return the length of a spelling; None for anything else."""
    found = _SPELLING.fullmatch(text.strip()) if isinstance(text, str) else None
    number, unit = (found[1], found[2] or "") if found else (None, "")
    if number is None and unit not in _ALONE:
        return None
    count, unit = int(number or 1), _UNITS.get(unit, unit)
    if unit == "h":
        count, unit = count * 60, "m"
    if count > _LARGEST[unit] or (unit == "M" and 12 % count):
        return None
    return BarLength(count, unit)


_FETCHED = {each.value: each for each in Timeframe}
