"""Fetch bars: tvDatafeed's own `get_hist` drives, our socket and parser do the work.

`get_hist` sends the messages, reads until "series_completed", and has a table made of that.
It calls four methods of its class that are private by name only; `_Driver` replaces them, and
tests/tradingview/test_tvdatafeed_names.py pins the names. Called bare it would take a cut connection
for a short success, a refusal for no data, and UTC for local time.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tvDatafeed import Interval, TvDatafeed

from datasets.bars import DatasetKey, FetchedBars, Timeframe
from datasets.errors import BadBars, FeedClosed
from datasets.tradingview import frames
from datasets.tradingview.connection import Connection, open_connection, payloads
from datasets.tradingview.conversation import SERIES_ID, SYMBOL_ID, Conversation
from datasets.tradingview.message_limit import MessageLimit
from datasets.tradingview.sign_in import GUEST_TOKEN
from datasets.tradingview.watch import Watch

# A connection is kept for the next fetch for so long; the feed drops it after about 30 s
# without an answer to its heartbeats.
KEEP_IDLE_S = 15.0
# "max sessions rate reached" came after about 200 chart sessions on one connection.
MAX_CONVERSATIONS = 100


class FeedClient:
    """Fetches from one chart socket, one fetch at a time; keeps the connection for the next.

    Parameters
    ----------
    url
        The chart socket, ws:// or wss://.
    timeout_s, deadline_s
        Longest silence, and longest whole fetch, in seconds.
    """

    def __init__(self, url: str, *, timeout_s: float, deadline_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self.deadline_s = deadline_s
        self._lock = threading.Lock()
        self._idle: tuple[Connection, str] | None = None
        self._idle_since = 0.0
        # One for many fetches: starting a thread for each costs more than all else here.
        self._timer: threading.Timer | None = None

    def fetch_bars(
        self,
        key: DatasetKey,
        *,
        token: str = GUEST_TOKEN,
        on_bars: Callable[[int], None] = lambda n_rows: None,
        on_wait: Callable[[], None] = lambda: None,
        on_message: Callable[[bytes], None] = lambda message: None,
    ) -> FetchedBars:
        """Fetch the newest bars of one dataset from TradingView.

        Blocks. Does not retry and does not throttle; `fetching.py` does both. Asks for older
        bars until `key.n_bars`, the account's window or the beginning of history.

        Parameters
        ----------
        key
            Which bars. TradingView counts `n_bars` backwards from the newest bar.
        token
            What signs us in; a guest's by default.
        on_bars, on_wait, on_message
            Called with the number of bars so far, about once a second while waiting, and
            with every message as it came. Each may raise to give the fetch up.

        Returns
        -------
        FetchedBars
            Everything that TradingView sent, checked. The last bar may still be forming.

        Raises
        ------
        FetchError
            Its class says what went wrong; see `errors.py`. Never a part of the bars.

        Notes
        -----
        Source: the `timescale_update` and `du` messages of TradingView's chart socket.
        """
        watch = Watch(silence_s=self.timeout_s, deadline_s=self.deadline_s, on_wait=on_wait)
        kept = self._take_idle(token)
        if kept is not None:
            try:
                return self._fetch(kept, key, token, watch, on_bars, on_message, is_kept=True)
            except FeedClosed:
                if kept.has_answered:
                    raise
                # It was closed while it lay idle; that says nothing about this fetch.
                watch.news()
        return self._fetch(open_connection(self.url, watch), key, token, watch, on_bars, on_message)

    def close(self) -> None:
        """Close the kept connection, if there is one."""
        with self._lock:
            self._forget_idle()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _fetch(
        self,
        connection: Connection,
        key: DatasetKey,
        token: str,
        watch: Watch,
        on_bars: Callable[[int], None],
        on_message: Callable[[bytes], None],
        *,
        is_kept: bool = False,
    ) -> FetchedBars:
        connection.start(watch)
        driver = _Driver(connection, key, token, on_bars, on_message, is_signed_in=is_kept)
        try:
            fetched = driver.fetch()
        except BaseException:
            # In doubt: whatever is still on its way must not meet the next fetch.
            connection.close()
            raise
        self._keep(connection, token)
        return fetched

    def _keep(self, connection: Connection, token: str) -> None:
        if connection.n_conversations >= MAX_CONVERSATIONS:
            connection.close()
            return
        with self._lock:
            self._forget_idle()
            self._idle = (connection, token)
            self._idle_since = time.monotonic()
            if self._timer is None:
                self._look_again(KEEP_IDLE_S)

    def _take_idle(self, token: str) -> Connection | None:
        with self._lock:
            if self._idle is None or self._idle[1] != token:
                self._forget_idle()
                return None
            connection, self._idle = self._idle[0], None
            return connection

    def _look_again(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._close_if_idle)
        self._timer.daemon = True
        self._timer.start()

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                # Cancelled, though too late to stop it.
                return
            self._timer = None
            left_s = self._idle_since + KEEP_IDLE_S - time.monotonic()
            if left_s <= 0:
                self._forget_idle()
            elif self._idle is not None:
                self._look_again(left_s)

    def _forget_idle(self) -> None:
        if self._idle is not None:
            self._idle[0].close()
            self._idle = None


class _Driver(TvDatafeed):  # type: ignore[misc]
    """tvDatafeed for one fetch over a connection of ours."""

    def __init__(
        self,
        connection: Connection,
        key: DatasetKey,
        token: str,
        on_bars: Callable[[int], None],
        on_message: Callable[[bytes], None],
        *,
        is_signed_in: bool,
    ) -> None:
        self._token = token
        super().__init__()
        self._connection = connection
        connection.bound_messages(MessageLimit.of_bars(key.n_bars))
        self._is_signed_in = is_signed_in
        self._on_message = on_message
        self._conversation = Conversation(key, self.chart_session, on_bars)
        # The newest message that brought bars: evidence where the whole reply is refused.
        self._newest_bars = b""

    def fetch(self) -> FetchedBars:
        """Let `get_hist` drive, then take leave of the chart session."""
        key = self._conversation.key
        fetched: FetchedBars = self.get_hist(
            symbol=key.full_symbol,
            exchange=key.exchange,
            interval=to_interval(key.timeframe),
            n_bars=key.n_bars,
        )
        self._send("chart_delete_session", [self.chart_session])
        return fetched

    # --- what tvDatafeed calls ----------------------------------------------------------

    def _TvDatafeed__auth(self, username: str | None, password: str | None) -> str:
        return self._token

    def _TvDatafeed__create_connection(self) -> None:
        self.ws = self

    def _TvDatafeed__send_message(self, method: str, parameters: list[Any]) -> None:
        if method.startswith("quote_") or (method == "set_auth_token" and self._is_signed_in):
            # History needs no quotes, and asking for them costs TradingView more than us.
            return
        if method == "resolve_symbol":
            parameters = [self.chart_session, SYMBOL_ID, "=" + self._symbol_description()]
        self._send(method, parameters)

    def recv(self) -> str:
        """End `get_hist`'s loop: it would log any error in it and take what has come for the whole."""
        return "series_completed"

    def _TvDatafeed__create_df(self, raw_data: str, symbol: str) -> FetchedBars:
        self._converse()
        try:
            return self._conversation.result()
        except BadBars as error:
            error.reply = self._newest_bars
            raise

    # --- ours ---------------------------------------------------------------------------

    def _symbol_description(self) -> str:
        key = self._conversation.key
        description = {
            "symbol": key.full_symbol,
            "adjustment": key.adjustment.value,
            "session": key.session.value,
        }
        return json.dumps(description, separators=(",", ":"))

    def _send(self, method: str, parameters: list[Any]) -> None:
        # What the feed said before it closed may still be there to read: why it did. After
        # that, reading raises the same.
        with suppress(FeedClosed):
            self._connection.send(frames.encode(method, parameters))

    def _converse(self) -> None:
        """Carry on until the reply is whole; raises what the feed says instead, and what hinders it."""
        conversation = self._conversation
        while True:
            self._take_message(self._connection.receive())
            if not conversation.is_complete:
                continue
            n_more = conversation.wants_more()
            if not n_more:
                return
            conversation.ask_for_more()
            self._send("request_more_data", [self.chart_session, SERIES_ID, n_more])

    def _take_message(self, message: bytes) -> None:
        self._on_message(message)
        watch, n_bars = self._connection.watch, self._conversation.n_received
        for payload in payloads(message, self._connection):
            try:
                is_ours = self._conversation.handle(frames.decode(payload))
            except BadBars as error:
                error.reply = message
                raise
            if is_ours:
                watch.news()
                self._connection.has_answered = True
        if self._conversation.n_received > n_bars:
            self._newest_bars = message


def to_interval(timeframe: Timeframe) -> Interval:
    """Return tvDatafeed's name for `timeframe`; it says `1H` where we say `1h`."""
    return Interval(timeframe.value.upper())
