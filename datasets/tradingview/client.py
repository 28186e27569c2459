"""Fetches bars with tvDatafeed's `get_hist`, over our own socket and parser.

`get_hist` sends the messages, reads until "series_completed", and builds a table. It calls four
methods of its class whose names are private. `_Driver` overrides these methods, and
tests/tradingview/test_tvdatafeed_names.py pins their names. Without the overrides, a closed
connection would look like a short reply, a refusal like missing data, and UTC like local time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from tvDatafeed import Interval, TvDatafeed

from datasets.bars import DatasetKey, FetchedBars, Timeframe
from datasets.errors import BadBars, FeedClosed
from datasets.tradingview import frames
from datasets.tradingview.auth_token import GUEST_TOKEN
from datasets.tradingview.connection import Connection, open_connection, payloads
from datasets.tradingview.conversation import SERIES_ID, SYMBOL_ID, Conversation
from datasets.tradingview.idle_connection import IdleConnection
from datasets.tradingview.message_limit import MessageLimit
from datasets.tradingview.watch import Watch


class FeedClient:
    """Client of one chart socket: one fetch at a time, with a connection kept for the next fetch.

    Parameters
    ----------
    url
        The chart socket, ws:// or wss://.
    timeout_s, deadline_s
        The longest silence and the longest whole fetch, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float, deadline_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self.deadline_s = deadline_s
        self.idle = IdleConnection()

    def fetch_bars(
        self,
        key: DatasetKey,
        *,
        auth_token: str = GUEST_TOKEN,
        on_bars: Callable[[int], None] = lambda n_rows: None,
        on_wait: Callable[[], None] = lambda: None,
        on_message: Callable[[bytes], None] = lambda message: None,
    ) -> FetchedBars:
        """Fetch the newest bars of one dataset from TradingView.

        Blocks. The package `fetching` retries and throttles. Older bars are requested until
        the reply has `key.n_bars`, or reaches the account's limit or the beginning of history.

        Parameters
        ----------
        key
            The dataset. TradingView counts `n_bars` backwards from the newest bar.
        auth_token
            TradingView's auth token; that of a guest by default.
        on_bars, on_wait, on_message
            Called with the number of bars so far; about once a second while waiting; with
            each unchanged message. Each may raise an error to end the fetch.

        Returns
        -------
        FetchedBars
            All bars of the reply, checked: times in UTC, oldest first. The last bar may
            still be forming.

        Raises
        ------
        FetchError
            The class names the problem; see `datasets.errors`. A part of the bars is never returned.

        Notes
        -----
        Source: the `timescale_update` and `du` messages of TradingView's chart socket.
        """
        watch = Watch(silence_s=self.timeout_s, deadline_s=self.deadline_s, on_wait=on_wait)
        kept = self.idle.take(auth_token)
        if kept is not None:
            try:
                return self._fetch(kept, key, auth_token, watch, on_bars, on_message, is_kept=True)
            except FeedClosed:
                if kept.has_answered:
                    raise
                # The feed closed the idle connection. This fetch has not failed: open a new one.
                watch.news()
        connection = open_connection(self.url, watch)
        return self._fetch(connection, key, auth_token, watch, on_bars, on_message)

    def close(self) -> None:
        """Close the kept connection, if there is one."""
        self.idle.close()

    def _fetch(
        self,
        connection: Connection,
        key: DatasetKey,
        auth_token: str,
        watch: Watch,
        on_bars: Callable[[int], None],
        on_message: Callable[[bytes], None],
        *,
        is_kept: bool = False,
    ) -> FetchedBars:
        connection.start(watch)
        driver = _Driver(connection, key, auth_token, on_bars, on_message, is_signed_in=is_kept)
        with ExitStack() as unless_complete:
            # Messages that are still under way must not reach the next fetch.
            unless_complete.callback(connection.close)
            fetched = driver.fetch()
            unless_complete.pop_all()
        self.idle.put(connection, auth_token)
        return fetched


class _Driver(TvDatafeed):  # type: ignore[misc]
    """tvDatafeed for one fetch, over our connection."""

    def __init__(
        self,
        connection: Connection,
        key: DatasetKey,
        auth_token: str,
        on_bars: Callable[[int], None],
        on_message: Callable[[bytes], None],
        *,
        is_signed_in: bool,
    ) -> None:
        self._auth_token = auth_token
        super().__init__()
        self._connection = connection
        connection.bound_messages(MessageLimit.of_bars(key.n_bars))
        self._is_signed_in = is_signed_in
        self._on_message = on_message
        self._conversation = Conversation(key, self.chart_session, on_bars)

    def fetch(self) -> FetchedBars:
        """Run `get_hist`, then delete the chart session."""
        key = self._conversation.key
        fetched: FetchedBars = self.get_hist(
            symbol=key.full_symbol,
            exchange=key.exchange,
            interval=to_interval(key.timeframe),
            n_bars=key.n_bars,
        )
        self._send("chart_delete_session", [self.chart_session])
        return fetched

    # --- called by tvDatafeed -----------------------------------------------------------

    def _TvDatafeed__auth(self, username: str | None, password: str | None) -> str:
        return self._auth_token

    def _TvDatafeed__create_connection(self) -> None:
        self.ws = self

    def _TvDatafeed__send_message(self, method: str, parameters: list[Any]) -> None:
        if method.startswith("quote_") or (method == "set_auth_token" and self._is_signed_in):
            # Bars need no quotes, and quotes would cost TradingView more than the bars.
            return
        if method == "resolve_symbol":
            key = self._conversation.key
            description = {
                "symbol": key.full_symbol,
                "adjustment": key.adjustment.value,
                "session": key.session.value,
            }
            shown = json.dumps(description, separators=(",", ":"))
            parameters = [self.chart_session, SYMBOL_ID, "=" + shown]
        self._send(method, parameters)

    def recv(self) -> str:
        """End `get_hist`'s loop at once: the loop logs errors and accepts an incomplete reply."""
        return "series_completed"

    def _TvDatafeed__create_df(self, raw_data: str, symbol: str) -> FetchedBars:
        """Receive messages until the reply is complete; return its bars or raise its error."""
        conversation, connection = self._conversation, self._connection
        n_missing, newest_bars = 0, b""
        while not conversation.is_complete or (n_missing := conversation.n_missing()):
            if conversation.is_complete:
                conversation.start_older()
                self._send("request_more_data", [self.chart_session, SERIES_ID, n_missing])
            n_before = conversation.n_received
            message = connection.receive()
            self._on_message(message)
            for payload in payloads(message, connection):
                try:
                    is_ours = conversation.handle(frames.decode(payload))
                except BadBars as error:
                    error.reply = message
                    raise
                if is_ours:
                    connection.watch.news()
                    connection.has_answered = True
            if conversation.n_received > n_before:
                newest_bars = message
        try:
            return conversation.result()
        except BadBars as error:
            # The newest message with bars is the evidence for a refused reply.
            error.reply = newest_bars
            raise

    # --- our own ------------------------------------------------------------------------

    def _send(self, method: str, parameters: list[Any]) -> None:
        # A closed feed may have sent its reason, which is still to be read. After that message,
        # reading raises `FeedClosed` too.
        with suppress(FeedClosed):
            self._connection.send(frames.encode(method, parameters))


def to_interval(timeframe: Timeframe) -> Interval:
    """Return tvDatafeed's interval for a timeframe: `1H` for our `1h`."""
    return Interval(timeframe.value.upper())
