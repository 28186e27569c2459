"""The socket under one or more fetches: bounded in time and memory, and never leaked."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websocket import (
    ABNF,
    WebSocket,
    WebSocketAddressException,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketTimeoutException,
)
from websocket._http import connect as open_socket
from websocket._http import proxy_info
from websocket._socket import sock_opt

from datasets.errors import (
    FeedClosed,
    FeedProtocol,
    FeedTimeout,
    FeedUnreachable,
    RateLimited,
)
from datasets.tradingview import frames
from datasets.tradingview.limits import NO_BARS, MessageLimit

# What the host accepts as a page of its own.
ORIGIN = "https://www.tradingview.com"
USER_AGENT = "Mozilla/5.0 (compatible; tradingview-dataset-service)"
# So much of one message must arrive for the feed not to count as silent.
_PROGRESS_BYTES = 4096
_SLICE_S = 1.0
_STATUS_BYTES = len("HTTP/1.1 101")


class Watch:
    """How long the feed may still take.

    Parameters
    ----------
    silence_s
        Seconds without news of the fetch before `FeedTimeout`. Heartbeats are no news.
    deadline_s
        Seconds for the whole fetch before `FeedTimeout`.
    on_wait
        Called about once a second while waiting; may raise to give the fetch up.
    """

    def __init__(
        self, *, silence_s: float, deadline_s: float, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        self.silence_s = silence_s
        self.deadline_s = deadline_s
        self.on_wait = on_wait
        self.started = self.last_news = time.monotonic()

    def news(self) -> None:
        """Note that something of the fetch has arrived."""
        self.last_news = time.monotonic()

    def left(self) -> float:
        """Return the seconds left; raise `FeedTimeout` when there are none."""
        now = time.monotonic()
        until_deadline = self.started + self.deadline_s - now
        until_silent = self.last_news + self.silence_s - now
        if until_deadline <= 0:
            raise FeedTimeout(
                f"The fetch took longer than {self.deadline_s:g} s (TV_DEADLINE_S). "
                "Nothing was stored; it can be tried again."
            )
        if until_silent <= 0:
            raise FeedTimeout(
                f"TradingView sent nothing about this fetch for {self.silence_s:g} s (TV_TIMEOUT_S). "
                "Nothing was stored; it can be tried again."
            )
        return min(until_deadline, until_silent)


class _GuardedSocket:
    """A connected socket that keeps to a `Watch` and to a size, below websocket-client.

    It sits under the upgrade and the frames alike, so that no read escapes the deadline.
    """

    def __init__(self, sock: Any, watch: Watch) -> None:
        self._sock = sock
        self.watch = watch
        self.limit = NO_BARS
        self._received = self._counted = 0
        self._first = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def start_message(self) -> None:
        """Count the next message's bytes from nothing."""
        self._received = self._counted = 0

    def recv(self, size: int) -> bytes:
        data = self._recv_in_slices(size)
        if len(self._first) < _STATUS_BYTES:
            self._first += data
        self._received += len(data)
        self.limit.require_bytes(self._received)
        if self._received - self._counted >= _PROGRESS_BYTES:
            self._counted = self._received
            self.watch.news()
        return data

    @property
    def upgrade_status(self) -> int | None:
        """The HTTP status of the upgrade's answer, once it has come, whatever comes after it."""
        found = re.match(rb"HTTP/1\.[01] (\d{3})", self._first)
        return int(found[1]) if found else None

    def _recv_in_slices(self, size: int) -> bytes:
        while True:
            self._sock.settimeout(min(_SLICE_S, self.watch.left()))
            try:
                return self._sock.recv(size)  # type: ignore[no-any-return]
            except TimeoutError:
                self.watch.on_wait()


class Connection:
    """One open chart socket. Use `open_connection`; call `close` whatever happens."""

    def __init__(self, ws: WebSocket, sock: _GuardedSocket) -> None:
        self._ws = ws
        self._sock = sock
        self.n_conversations = 0
        # Whether the feed has said anything in the running conversation.
        self.has_answered = False

    @property
    def watch(self) -> Watch:
        """How long the running conversation may still take."""
        return self._sock.watch

    def start(self, watch: Watch) -> None:
        """Begin a conversation that keeps to `watch`."""
        self._sock.watch = watch
        self.has_answered = False
        self.n_conversations += 1

    def bound_messages(self, limit: MessageLimit) -> None:
        """Let no message of the running conversation be larger than `limit`."""
        self._sock.limit = limit

    def send(self, text: str) -> None:
        """Send one framed message; raise `FeedClosed` when the feed is gone."""
        with _closed_errors():
            self._sock.settimeout(self._sock.watch.left())
            self._ws.send(text)

    def receive(self) -> bytes:
        """Return the next text message as it came, without its WebSocket frame."""
        self._sock.start_message()
        with _closed_errors():
            opcode, message = self._ws.recv_data_frame()
        if opcode == ABNF.OPCODE_CLOSE:
            raise FeedClosed(_closed_sentence)
        if opcode != ABNF.OPCODE_TEXT:
            raise frames.not_understood("sent a binary message; its chart socket speaks text")
        self._sock.limit.require_values(message.data)
        return bytes(message.data)

    def close(self) -> None:
        """Close at once, without waiting for the feed to agree."""
        self._ws.shutdown()


_closed_sentence = (
    "TradingView closed the connection before the reply was complete. "
    "Nothing was stored; it can be tried again."
)


@contextmanager
def _closed_errors() -> Iterator[None]:
    """Translate what websocket-client and the socket raise on an open connection."""
    try:
        yield
    except WebSocketConnectionClosedException as error:
        raise FeedClosed(_closed_sentence) from error
    except WebSocketTimeoutException as error:
        raise FeedTimeout(
            "TradingView took nothing from us for too long. Nothing was stored; it can be tried again."
        ) from error
    except WebSocketException as error:
        raise frames.not_understood(
            f"broke the WebSocket protocol: {frames.printable(str(error))}"
        ) from error
    except OSError as error:
        raise FeedClosed(_closed_sentence) from error


def open_connection(url: str, watch: Watch) -> Connection:
    """Open the chart socket at `url` (ws:// or wss://).

    Raises `FeedUnreachable`, `RateLimited` when the upgrade is refused, `FeedTimeout`, `FeedClosed`.
    """
    host = url.split("/")[2]
    raw = _open_raw(url, watch, host)
    sock = _GuardedSocket(raw, watch)
    ws = WebSocket(skip_utf8_validation=True, enable_multithread=False)
    try:
        with _upgrade_errors(host, sock):
            ws.connect(
                url, socket=sock, origin=ORIGIN, header={"User-Agent": USER_AGENT}, redirect_limit=0
            )
    except BaseException:
        raw.close()
        raise
    return Connection(ws, sock)


def _open_raw(url: str, watch: Watch, host: str) -> Any:
    options = sock_opt(
        None, {"context": ssl.create_default_context()} if url.startswith("wss") else None
    )
    options.timeout = watch.left()
    try:
        return open_socket(url, options, proxy_info(), None)[0]
    except (OSError, WebSocketException) as error:
        if isinstance(error, TimeoutError) and "handshake" in str(error):
            raise FeedTimeout(
                f"{host} takes connections and then says nothing for {watch.silence_s:g} s (TV_TIMEOUT_S). "
                "Nothing was stored; it can be tried again."
            ) from error
        raise FeedUnreachable(
            f"{host} cannot be reached: {_reason(error)}. Check the network and TV_WS_URL; it can be tried again."
        ) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return f"its TLS connection is not accepted ({error.reason or 'no TLS'})"
    if isinstance(error, WebSocketAddressException):
        return "the host is unknown"
    if isinstance(error, (TimeoutError, WebSocketTimeoutException)):
        return "it does not answer"
    strerror = getattr(error, "strerror", None)
    return str(strerror or error).lower()


@contextmanager
def _upgrade_errors(host: str, sock: _GuardedSocket) -> Iterator[None]:
    try:
        with _closed_errors():
            try:
                yield
            except WebSocketBadStatusException as error:
                raise _refused(host, error.status_code) from error
    except (FeedTimeout, FeedClosed) as error:
        # The refusal has come; only the page that explains it to people has not.
        if sock.upgrade_status in (None, 101):
            raise
        raise _refused(host, sock.upgrade_status) from error
    except FeedProtocol as error:
        # Whatever answered there is no chart socket.
        raise FeedUnreachable(
            f"{host} answered without a WebSocket. Check TV_WS_URL; it can be tried again."
        ) from error


def _refused(host: str, status: int) -> FeedUnreachable | RateLimited:
    if status in (403, 429):
        return RateLimited(
            f"{host} refuses the connection with HTTP {status}: too many calls. "
            "All workers pause; it is tried again after the cool-down."
        )
    return FeedUnreachable(
        f"{host} refuses the connection with HTTP {status}; it can be tried again."
    )


def payloads(message: bytes, connection: Connection) -> Iterator[bytes]:
    """Yield a message's payloads; answer heartbeats on the way with the identical frame."""
    for payload in frames.split_message(message):
        if payload.startswith(frames.HEARTBEAT):
            # Where the feed has gone meanwhile, what it said before is still to be read.
            with suppress(FeedClosed):
                connection.send(frames.frame(payload.decode("ascii", "replace")))
        else:
            yield payload
