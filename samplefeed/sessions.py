"""State of one connection: chart sessions, their symbols and series, quote sessions."""

from __future__ import annotations

from collections.abc import Hashable
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
    """One series: its request, and the range of bars already sent."""

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
    # The newest rows as they were sent last, by time.
    newest: dict[float, tuple[float, ...]] = field(default_factory=dict)
    is_complete: bool = False
    # Changed bars that a fault sends again with the next older bars.
    resent: list[list[Any]] = field(default_factory=list)

    @property
    def key(self) -> tuple[Hashable, str, str, str]:
        """Return the key of the series in caches."""
        return (
            self.listing.cache_key,
            self.timeframe,
            self.request.session,
            self.request.adjustment,
        )


@dataclass
class ChartSession:
    """One chart session, `cs_…`; it has one series at a time."""

    symbols: dict[str, Resolution] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    timezone: str = "Etc/UTC"


@dataclass
class QuoteSession:
    """One quote session, `qs_…`; a failed session sends no more messages."""

    symbols: list[str] = field(default_factory=list)
    has_failed: bool = False


def read_symbol(text: object) -> dict[str, Any]:
    """Return `symbol`, `session` and `adjustment` of a parameter of `resolve_symbol`.

    The parameter is a plain `EXCHANGE:SYMBOL`, or an equals sign and JSON, in which the symbol
    may be one level deeper.
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
