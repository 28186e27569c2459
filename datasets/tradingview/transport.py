"""The TCP or TLS socket under the WebSocket, bounded in time and bytes."""

from __future__ import annotations

import re
import socket
import ssl
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies

from datasets.errors import FeedTimeout, FeedUnreachable
from datasets.tradingview.message_limit import NO_BARS
from datasets.tradingview.tcp import open_tcp, open_tunnel
from datasets.tradingview.watch import Watch

# A message counts as progress each time this many bytes of it have arrived.
_PROGRESS_BYTES = 4096
_SLICE_S = 1.0
_STATUS_BYTES = len("HTTP/1.1 101")


class GuardedSocket:
    """A connected socket whose reads obey a `Watch` and a `MessageLimit`.

    websocket-client reads the upgrade and all frames through this socket, so no read escapes
    the limits.
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
        """Reset the byte count for the next message."""
        self._received = self._counted = 0

    def recv(self, size: int) -> bytes:
        """Return the next bytes; wait in slices of one second, so that `on_wait` is called."""
        while True:
            self._sock.settimeout(min(_SLICE_S, self.watch.left()))
            try:
                data: bytes = self._sock.recv(size)
                break
            except TimeoutError:
                self.watch.on_wait()
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
        """The HTTP status of the reply to the upgrade; None before it has arrived."""
        found = re.match(rb"HTTP/1\.[01] (\d{3})", self._first)
        return int(found[1]) if found else None


def open_socket(url: str, watch: Watch) -> socket.socket:
    """Open a TCP connection to the host of `url`, with TLS for wss://, within the time of `watch`.

    A proxy in `http_proxy` or `https_proxy` is used unless `no_proxy` names the host, as in the
    service's HTTP requests. Raises `FeedUnreachable`, and `FeedTimeout` for a silent host.
    """
    target = urlsplit(url)
    try:
        host, is_tls = target.hostname or "", target.scheme == "wss"
        port = target.port or (443 if is_tls else 80)
        proxy = get_environ_proxies(f"http://{target.netloc}").get("https" if is_tls else "http")
        raw = open_tunnel(proxy, host, port, watch) if proxy else open_tcp(host, port, watch)
        if not is_tls:
            return raw
        try:
            raw.settimeout(watch.left())
            return ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        except BaseException as error:
            raw.close()
            if isinstance(error, TimeoutError):
                raise FeedTimeout(
                    f"{target.netloc} accepts connections and then sends nothing for {watch.silence_s:g} s "
                    "(TV_TIMEOUT_S). Nothing was stored; the fetch can be tried again."
                ) from error
            raise
    except (OSError, HTTPException, ValueError) as error:
        raise FeedUnreachable(
            f"{target.netloc} cannot be reached: {_reason(error)}. Check the network and TV_WS_URL; "
            "the fetch can be tried again."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"its TLS connection is not accepted ({error.reason or 'no TLS'})"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the host is unknown"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return str(getattr(error, "strerror", None) or error).lower()
