"""Timeframes: the lengths of bars and their accepted spellings."""

from __future__ import annotations

from enum import StrEnum

from datasets.errors import InvalidRequest


class Timeframe(StrEnum):
    """The length of a bar, in its canonical spelling: `1` is a minute, `1M` a month."""

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
        found = _SPELLINGS.get(text.strip())
        if found is None:
            allowed = ", ".join(cls)
            raise InvalidRequest(
                {"timeframe": [f"{text!r} is no timeframe; use one of {allowed}."]}
            )
        return found

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


def _spellings() -> dict[str, Timeframe]:
    """Map every accepted spelling to its timeframe."""
    found: dict[str, Timeframe] = {}
    for timeframe in Timeframe:
        minutes = timeframe.minutes
        if minutes is not None:
            found |= dict.fromkeys([str(minutes), f"{minutes}m", f"{minutes}min"], timeframe)
            if minutes % 60 == 0:
                found |= dict.fromkeys([f"{minutes // 60}h", f"{minutes // 60}H"], timeframe)
            continue
        number, unit = timeframe.value[:-1], timeframe.value[-1]
        found |= dict.fromkeys([timeframe.value, unit], timeframe)
        if unit == "M":
            # Not `m` and `1m`, which are minutes.
            found |= dict.fromkeys(["1mo", "mo", f"{number}MO"], timeframe)
        else:
            found |= dict.fromkeys([timeframe.value.lower(), unit.lower()], timeframe)
    return found


_SPELLINGS = _spellings()
