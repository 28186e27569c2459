"""TCP connections to a host, direct or through an HTTP proxy, bounded in time."""

from __future__ import annotations

import errno
import socket
from base64 import b64encode
from contextlib import ExitStack
from http.client import HTTPConnection
from urllib.parse import unquote, urlsplit

from datasets.tradingview.watch import Watch


def open_tcp(host: str, port: int, watch: Watch) -> socket.socket:
    """Connect to the first address of the host that does not refuse; all share the time left."""
    refusal: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        # Closes the socket after every error, also on Ctrl-C: the caller has no socket to close.
        with ExitStack() as unless_connected:
            raw = unless_connected.enter_context(socket.socket(family, kind, protocol))
            try:
                raw.settimeout(watch.left())
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                raw.connect(address)
            except OSError as error:
                if error.errno not in (errno.ECONNREFUSED, errno.ENETUNREACH):
                    raise
                refusal = error
            else:
                unless_connected.pop_all()
                return raw
    raise refusal or socket.gaierror("The host has no address")


def open_tunnel(proxy: str, host: str, port: int, watch: Watch) -> socket.socket:
    """Connect to the host through an HTTP proxy, by CONNECT."""
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    headers = {}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    tunnel = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=watch.left())
    tunnel.set_tunnel(host, port, headers)
    with ExitStack() as unless_connected:
        unless_connected.callback(tunnel.close)
        tunnel.connect()
        unless_connected.pop_all()
    return tunnel.sock
