"""State shared by all connections of one server."""

from __future__ import annotations

from dataclasses import dataclass, field

from samplefeed.changes import is_away
from samplefeed.clock import Clock
from samplefeed.control import ArmedFaults, Stats
from samplefeed.faults import CONVERSATION_FAULTS
from samplefeed.instruments import find_instrument
from samplefeed.listings import ChangedListing, Listing, SyntheticListing
from samplefeed.tokens import Tokens


@dataclass(frozen=True)
class Options:
    """Limits and periods, the same for all clients."""

    plan_window: int = 40_000  # most bars of a series, counted from the newest
    first_reply: int = 20_000  # most bars of the answer to create_series
    heartbeat_seconds: float = 10.0
    update_seconds: float = 5.0
    most_series: int = 40  # of one connection at a time, each in a chart session of its own


@dataclass
class Feed:
    """Options, clock, recording, counts, faults and auth tokens of the server."""

    options: Options = field(default_factory=Options)
    clock: Clock = field(default_factory=Clock)
    replay: Listing | None = None
    stats: Stats = field(default_factory=Stats)
    armed: ArmedFaults = field(default_factory=ArmedFaults)
    tokens: Tokens = field(default_factory=Tokens)

    def find(self, full_symbol: str) -> Listing | None:
        """Return the listing of a symbol, or None for an invalid symbol."""
        if self.replay is not None and self.replay.full_symbol == full_symbol:
            return self.replay
        exchange, _, name = full_symbol.partition(":")
        if exchange == "FAULT" and name.lower() not in CONVERSATION_FAULTS:
            return None
        instrument = find_instrument(full_symbol)
        if instrument is None:
            return None
        changes = self.armed.changes_of(full_symbol)
        listing = SyntheticListing(instrument)
        return ChangedListing(listing, changes, self.clock.now()) if changes else listing

    def is_away(self, full_symbol: str) -> bool:
        """Return whether the symbol has an outage now."""
        return is_away(self.armed.changes_of(full_symbol), self.clock.now())

    def reset(self) -> None:
        """Reset all state except the number of open connections."""
        self.clock.reset()
        self.stats = Stats(connections_open=self.stats.connections_open)
        self.armed.clear()
        self.tokens.reset()
