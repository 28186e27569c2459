"""One open chart socket: the upgrade, whole messages, heartbeats, and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from websocket import (
    ABNF,
    WebSocket,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketTimeoutException,
)

from datasets.errors import (
    FeedClosed,
    FeedProtocol,
    FeedTimeout,
    FeedUnreachable,
    FetchError,
    RateLimited,
)
from datasets.tradingview import frames
from datasets.tradingview.message_limit import MessageLimit
from datasets.tradingview.transport import GuardedSocket, open_socket
from datasets.tradingview.watch import Watch

# TradingView answers 403 to an origin that is not its own site.
ORIGIN = "https://www.tradingview.com"
USER_AGENT = "Mozilla/5.0 (compatible; tradingview-dataset-service)"

_CLOSED = (
    "TradingView closed the connection before the reply was complete. "
    "Nothing was stored; the fetch can be tried again."
)


class Connection:
    """One open chart socket. Create it with `open_connection`; always call `close`."""

    def __init__(self, ws: WebSocket, sock: GuardedSocket) -> None:
        self._ws = ws
        self._sock = sock
        self.n_conversations = 0
        # True once a message of the running conversation has arrived.
        self.has_answered = False

    @property
    def watch(self) -> Watch:
        """The time limits of the running conversation."""
        return self._sock.watch

    def start(self, watch: Watch) -> None:
        """Begin a conversation with the time limits of `watch`."""
        self._sock.watch = watch
        self.has_answered = False
        self.n_conversations += 1

    def bound_messages(self, limit: MessageLimit) -> None:
        """Set the largest message of the running conversation."""
        self._sock.limit = limit

    def send(self, text: str) -> None:
        """Send one framed message; raise `FeedClosed` when the feed is gone."""
        with _closed_errors():
            self._sock.settimeout(self._sock.watch.left())
            self._ws.send(text)

    def receive(self) -> bytes:
        """Return the unchanged next text message, without its WebSocket frame."""
        self._sock.start_message()
        with _closed_errors():
            opcode, message = self._ws.recv_data_frame()
        if opcode == ABNF.OPCODE_CLOSE:
            raise FeedClosed(_CLOSED)
        if opcode != ABNF.OPCODE_TEXT:
            raise frames.not_understood("sent a binary message; its chart socket speaks text")
        self._sock.limit.require_values(message.data)
        return bytes(message.data)

    def close(self) -> None:
        """Close at once, without the closing handshake."""
        self._ws.shutdown()


@contextmanager
def _closed_errors() -> Iterator[None]:
    """Translate what websocket-client and the socket raise on an open connection."""
    try:
        yield
    except WebSocketConnectionClosedException as error:
        raise FeedClosed(_CLOSED) from error
    except WebSocketTimeoutException as error:
        raise FeedTimeout(
            "TradingView did not accept our message in time. Nothing was stored; the fetch can be tried again."
        ) from error
    except WebSocketException as error:
        raise frames.not_understood(
            f"broke the WebSocket protocol: {frames.printable(str(error))}"
        ) from error
    except OSError as error:
        raise FeedClosed(_CLOSED) from error


def open_connection(url: str, watch: Watch) -> Connection:
    """Open the chart socket at `url` (ws:// or wss://).

    Raises `FeedUnreachable`, `RateLimited` when the upgrade is refused, `FeedTimeout`, `FeedClosed`.
    """
    host = url.split("/")[2]
    sock = GuardedSocket(open_socket(url, watch), watch)
    ws = WebSocket(skip_utf8_validation=True, enable_multithread=False)
    header = {"User-Agent": USER_AGENT}
    try:
        with _closed_errors():
            ws.connect(url, socket=sock, origin=ORIGIN, header=header, redirect_limit=0)
    except BaseException as error:
        sock.close()
        if not isinstance(error, FetchError):
            raise
        # The status of a refusal is enough, even if the rest of its page never arrives.
        status = sock.upgrade_status
        if status in (403, 429):
            raise RateLimited(
                f"{host} refuses the connection with HTTP {status}: too many calls. "
                "All workers pause and try again after the cool-down."
            ) from error
        if status not in (None, 101):
            raise FeedUnreachable(
                f"{host} refuses the connection with HTTP {status}; the fetch can be tried again."
            ) from error
        if isinstance(error, FeedProtocol):
            # The server at this address is not a chart socket.
            raise FeedUnreachable(
                f"{host} answered without a WebSocket. Check TV_WS_URL; the fetch can be tried again."
            ) from error
        raise
    return Connection(ws, sock)


def payloads(message: bytes, connection: Connection) -> Iterator[bytes]:
    """Yield the payloads of a message; answer each heartbeat with the identical frame."""
    for payload in frames.split_message(message):
        if payload.startswith(frames.HEARTBEAT):
            # A closed feed may have sent its reason, and the reader must still get it.
            with suppress(FeedClosed):
                connection.send(frames.frame(payload.decode("ascii", "replace")))
        else:
            yield payload
