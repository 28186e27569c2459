"""The connection that stays open between two fetches."""

from __future__ import annotations

import threading
import time

from datasets.tradingview.connection import Connection

# Seconds that an idle connection stays open for the next fetch. The feed closes it after about
# 30 s without an answer to its heartbeats.
KEEP_IDLE_S = 15.0
# "max sessions rate reached" came after about 200 chart sessions on one connection.
MAX_CONVERSATIONS = 100


class IdleConnection:
    """Holds at most one connection and its auth token; a timer closes an unused connection."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self._auth_token = ""
        self._since = 0.0
        self._lock = threading.Lock()
        # One timer serves many fetches: to start a thread for each would be the largest cost here.
        self._timer: threading.Timer | None = None

    def put(self, connection: Connection, auth_token: str) -> None:
        """Hold the connection for the next fetch; close one that has had many conversations."""
        if connection.n_conversations >= MAX_CONVERSATIONS:
            connection.close()
            return
        with self._lock:
            self._drop()
            self.connection, self._auth_token = connection, auth_token
            self._since = time.monotonic()
            if self._timer is None:
                self._start_timer(KEEP_IDLE_S)

    def take(self, auth_token: str) -> Connection | None:
        """Return the connection if it has this auth token; close it if it has another one."""
        with self._lock:
            if self._auth_token != auth_token:
                self._drop()
            connection, self.connection = self.connection, None
            return connection

    def close(self) -> None:
        """Close the connection and end the timer."""
        with self._lock:
            self._drop()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _start_timer(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._close_if_idle)
        self._timer.daemon = True
        self._timer.start()

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                # This timer was cancelled after it had fired.
                return
            self._timer = None
            left_s = self._since + KEEP_IDLE_S - time.monotonic()
            if left_s <= 0:
                self._drop()
            elif self.connection is not None:
                self._start_timer(left_s)

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
