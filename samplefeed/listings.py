"""Interface of the instruments that the feed serves, and the synthetic ones."""

from __future__ import annotations

from typing import Any, Protocol

from samplefeed.bars import Bars, Request, make_bars
from samplefeed.facts import quote_facts, resolved_facts
from samplefeed.instruments import Instrument
from samplefeed.timeframes import Timeframe


class Listing(Protocol):
    """An instrument as a chart socket uses it: synthetic or recorded."""

    @property
    def full_symbol(self) -> str:
        """Return `EXCHANGE:SYMBOL`."""

    @property
    def delay(self) -> int:
        """Return the delay of the feed in seconds."""

    @property
    def denied_group(self) -> str:
        """Return the group whose subscription is missing, or ""."""

    def supports(self, timeframe: Timeframe) -> bool:
        """Return whether the listing has bars of this timeframe."""

    def resolved(self, session: str) -> dict[str, Any]:
        """Return the facts of `symbol_resolved`."""

    def quote(self, now: float) -> dict[str, Any]:
        """Return the values of `qsd`."""

    def bars(self, request: Request) -> Bars:
        """Return the bars of one request."""


class SyntheticListing:
    """An instrument of the catalogue."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.full_symbol = instrument.full_symbol
        self.delay = instrument.delay
        self.denied_group = instrument.denied_group

    def supports(self, timeframe: Timeframe) -> bool:
        """Return whether the listing has bars of this timeframe."""
        return not (self.instrument.is_daily_only and timeframe.is_intraday)

    def resolved(self, session: str) -> dict[str, Any]:
        """Return the facts of `symbol_resolved`."""
        return resolved_facts(self.instrument, session)

    def quote(self, now: float) -> dict[str, Any]:
        """Return the values of `qsd`."""
        today = make_bars(self.instrument, Request(Timeframe("D", 1), 1, now)).as_lists()
        if not today:
            return quote_facts(self.instrument, self.instrument.base_price, None)
        volume = today[0][5] if self.instrument.has_volume else None
        return quote_facts(self.instrument, today[0][4], volume)

    def bars(self, request: Request) -> Bars:
        """Return the bars of one request."""
        return make_bars(self.instrument, request)
