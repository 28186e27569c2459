"""The state that all connections of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from samplefeed.clock import Clock
from samplefeed.control import ArmedFaults, Stats
from samplefeed.faults import CONVERSATION_FAULTS
from samplefeed.instruments import find_instrument
from samplefeed.listings import Listing, SyntheticListing
from samplefeed.tokens import Tokens


@dataclass(frozen=True)
class Options:
    """How this server behaves towards everybody."""

    plan_window: int = 40_000  # bars back from the newest that can be had at all
    first_reply: int = 20_000  # most bars of the answer to create_series
    heartbeat_seconds: float = 10.0
    update_seconds: float = 5.0


@dataclass
class Feed:
    """Options, clock and memory of the server."""

    options: Options = field(default_factory=Options)
    clock: Clock = field(default_factory=Clock)
    replay: Listing | None = None
    stats: Stats = field(default_factory=Stats)
    armed: ArmedFaults = field(default_factory=ArmedFaults)
    tokens: Tokens = field(default_factory=Tokens)

    def find(self, full_symbol: str) -> Listing | None:
        """Return what the symbol names, nothing where TradingView would not know it."""
        if self.replay is not None and self.replay.full_symbol == full_symbol:
            return self.replay
        exchange, _, name = full_symbol.partition(":")
        if exchange == "FAULT" and name.lower() not in CONVERSATION_FAULTS:
            return None
        instrument = find_instrument(full_symbol)
        return None if instrument is None else SyntheticListing(instrument)

    def reset(self) -> None:
        """Forget everything but the connections that are open."""
        self.stats = Stats(connections_open=self.stats.connections_open)
        self.armed.clear()
        self.tokens.reset()
