"""Instrument facts: the description of an instrument in TradingView's reply."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Instrument:
    """The facts of TradingView's message `symbol_resolved`; "" or None where a fact is absent."""

    # The symbol's own name, and the name of the feed that answered: for NASDAQ:AAPL the feed
    # can be BATS:AAPL.
    pro_name: str = ""
    full_name: str = ""
    description: str = ""
    type: str = ""
    currency: str = ""
    timezone: str = ""
    # The calendar of the subsession that was asked for, in the feed's own texts: trading hours,
    # the hours shown to people, `YYYYMMDD,…`, and days with other hours. `datasets.calendars`
    # reads them. The feed cuts the history of its lists, so that each fetch keeps them.
    subsession: str = ""
    session_hours: str = ""
    session_display: str = ""
    session_holidays: str = ""
    session_correction: str = ""
    pricescale: int | None = None
    minmov: int | None = None
    # Delay of the feed behind the exchange in seconds; 0 for a live feed.
    delay_s: int = 0
    has_volume: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from stored values; ignore names that a later version may have added."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
