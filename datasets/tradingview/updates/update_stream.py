"""One connection with the live updates of several series, each in a chart session of its own."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable
from typing import Any, Self

from datasets.bars.series_keys import SeriesKey
from datasets.tradingview import frames, refusals
from datasets.tradingview.connection import Connection, open_connection, payloads
from datasets.tradingview.message_limit import MessageLimit
from datasets.tradingview.updates.subscription import N_FIRST_BARS, Subscription
from datasets.tradingview.watch import Watch

# TradingView refuses a connection that has had about 200 chart sessions.
MOST_OPENINGS = 150
# A connection that is silent for three heartbeats is dead.
SILENCE_S = 31.0
# Longest time for opening the connection.
_OPEN_S = 20.0
_LETTERS = string.ascii_letters + string.digits


class UpdateStream:
    """One open connection and its subscriptions. Create it with `open`; always call `close`."""

    def __init__(self, connection: Connection, auth_token: str) -> None:
        self._connection = connection
        self.subscriptions: dict[str, Subscription] = {}
        self.n_openings = 0
        self._feed_now: tuple[float, float] | None = None
        self._send("set_auth_token", [auth_token])

    @classmethod
    def open(
        cls,
        url: str,
        auth_token: str,
        *,
        silence_s: float = SILENCE_S,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Self:
        """Open the chart socket at `url` (ws:// or wss://).

        Parameters
        ----------
        url, auth_token
            The chart socket, and TradingView's auth token.
        silence_s
            Seconds without any message, heartbeats included, after which the connection is dead.
        on_wait
            Called about once a second while the stream waits. It may raise to end the wait.

        Raises
        ------
        FetchError
            `FeedUnreachable`, `RateLimited` when the upgrade is refused, `FeedTimeout`, `FeedClosed`.
        """
        connection = open_connection(
            url, Watch(silence_s=_OPEN_S, deadline_s=_OPEN_S, on_wait=on_wait)
        )
        connection.start(Watch(silence_s=silence_s, deadline_s=float("inf"), on_wait=on_wait))
        # One message can hold the first replies of several series.
        connection.bound_messages(MessageLimit.of_bars(N_FIRST_BARS * 50))
        return cls(connection, auth_token)

    def subscribe(self, key: SeriesKey) -> Subscription:
        """Begin the updates of a series; raise `FeedClosed` when the connection is gone."""
        chart = "cs_" + "".join(secrets.choice(_LETTERS) for _ in range(12))
        subscription = Subscription(key, chart)
        for method, parameters in subscription.opening():
            self._send(method, parameters)
        self.n_openings += 1
        self.subscriptions[chart] = subscription
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End the updates of a series; raise `FeedClosed` when the connection is gone."""
        if self.subscriptions.pop(subscription.chart_session, None) is not None:
            self._send("chart_delete_session", [subscription.chart_session])

    def receive(self) -> None:
        """Wait for the next message, and let the subscriptions process it.

        Raises
        ------
        FetchError
            Of the whole connection: `FeedClosed`, `FeedTimeout` after the longest silence,
            `FeedProtocol`, and the error of a `protocol_error`.
        """
        message = self._connection.receive()
        # Heartbeats are news here: in a quiet market nothing else comes.
        self._connection.watch.news()
        for payload in payloads(message, self._connection):
            self._handle(frames.decode(payload))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _handle(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("m"), message.get("p")
        if isinstance(message.get("t"), int | float):
            self._feed_now = (float(message["t"]), time.monotonic())
        if not isinstance(method, str) or not isinstance(parameters, list) or not parameters:
            return
        if method == "protocol_error":
            raise refusals.protocol_error(parameters)
        found = self.subscriptions.get(parameters[0]) if isinstance(parameters[0], str) else None
        if found is None:
            return
        found.handle(method, parameters, self._now())
        if found.error is not None:
            self.unsubscribe(found)

    def _now(self) -> float:
        """Return the feed's clock; a `du` can come without a time."""
        if self._feed_now is None:
            return time.time()
        told, at = self._feed_now
        return told + time.monotonic() - at

    def _send(self, method: str, parameters: list[Any]) -> None:
        self._connection.send(frames.encode(method, parameters))
