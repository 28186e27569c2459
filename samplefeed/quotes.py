"""Quote sessions. Their messages arrive between the bars, as on TradingView."""

from __future__ import annotations

from typing import Any

from samplefeed.channel import Channel
from samplefeed.feed import Feed
from samplefeed.frames import message
from samplefeed.sessions import QuoteSession, read_symbol


class Quotes:
    """The quote sessions of one connection."""

    def __init__(self, feed: Feed, channel: Channel) -> None:
        self._feed = feed
        self._channel = channel
        self._sessions: dict[str, QuoteSession] = {}

    async def create(self, parameters: list[Any]) -> None:
        """Open a session."""
        if parameters:
            self._sessions[str(parameters[0])] = QuoteSession()

    def any_session(self) -> str:
        """Return the id of a quote session, for the messages of a fault."""
        return next(iter(self._sessions), "qs_sample")

    async def delete(self, parameters: list[Any]) -> None:
        """Close a session."""
        if parameters:
            self._sessions.pop(str(parameters[0]), None)

    async def add(self, parameters: list[Any]) -> None:
        """Quote the symbols; flags that TradingView no longer allows fail the session."""
        session = self._sessions.get(str(parameters[0])) if parameters else None
        if session is None or session.has_failed:
            return
        if any(isinstance(parameter, dict) for parameter in parameters[1:]):
            session.has_failed = True
            await self._channel.send(
                message(
                    "critical_error", [parameters[0], "invalid_parameters", "quote_add_symbols"]
                )
            )
            return
        for symbol in map(str, parameters[1:]):
            session.symbols.append(symbol)
            await self._channel.send(
                message("qsd", [parameters[0], self._quote(symbol)]),
                message("quote_completed", [parameters[0], symbol]),
            )

    def changes(self, full_symbol: str) -> list[bytes]:
        """Return a short `qsd` for each session that quotes the symbol."""
        found = []
        for session_id, session in self._sessions.items():
            for name in session.symbols:
                if read_symbol(name).get("symbol") == full_symbol:
                    quote = {"n": name, "s": "ok", "v": {"current_session": "market"}}
                    found.append(message("qsd", [session_id, quote]))
        return found

    def _quote(self, name: str) -> dict[str, Any]:
        listing = self._feed.find(str(read_symbol(name).get("symbol", "")))
        if listing is None:
            return {"n": name, "s": "error", "errmsg": "no_such_symbol", "v": {}}
        if listing.denied_group:
            values = {"alternative": listing.denied_group}
            return {
                "n": name,
                "s": "permission_denied",
                "errmsg": "Permission denied",
                "v": values,
            }
        return {"n": name, "s": "ok", "v": listing.quote(self._feed.clock.now())}
