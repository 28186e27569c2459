"""What one connection has opened: chart sessions, their symbols and series, quote sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from samplefeed.bars import Request
from samplefeed.listings import Listing

SESSIONS = {"regular", "extended", "premarket", "postmarket", "us_regular"}


@dataclass
class Resolution:
    """The answer to one `resolve_symbol`."""

    symbol_id: str
    asked_for: str
    listing: Listing | None
    session: str = "regular"
    adjustment: str = "splits"
    is_answered: bool = False


@dataclass
class Series:
    """The bars of one series that the client has, and how to find the next ones."""

    series_id: str
    turnaround: str
    resolution: Resolution
    listing: Listing
    request: Request
    timeframe: str
    n_sent: int = 0
    first_time: float | None = None
    first_index: int = 0
    last_time: float = 0.0
    last_index: int = -1
    is_complete: bool = False
    # Bars that a fault sends again, changed, with the next older ones.
    resent: list[list[Any]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what tells these bars from all others."""
        return (
            self.listing.full_symbol,
            self.timeframe,
            self.request.session,
            self.request.adjustment,
        )


@dataclass
class ChartSession:
    """One `cs_…`."""

    symbols: dict[str, Resolution] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    timezone: str = "Etc/UTC"


@dataclass
class QuoteSession:
    """One `qs_…`; a failed one says nothing more."""

    symbols: list[str] = field(default_factory=list)
    has_failed: bool = False


def read_symbol(text: object) -> dict[str, Any]:
    """Return `symbol`, `session` and `adjustment` out of what `resolve_symbol` was given.

    Either a bare `EXCHANGE:SYMBOL` or JSON behind an equals sign, in which the symbol may sit
    one level deeper.
    """
    if not isinstance(text, str):
        return {}
    if not text.startswith("="):
        return {"symbol": text}
    try:
        asked = orjson.loads(text[1:])
    except orjson.JSONDecodeError:
        return {}
    if isinstance(asked, dict) and isinstance(asked.get("symbol"), dict):
        asked = asked["symbol"]
    return asked if isinstance(asked, dict) else {}
