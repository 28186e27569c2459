"""TCP connections to a host, direct or through an HTTP proxy, bounded in time."""

from __future__ import annotations

import errno
import socket
from base64 import b64encode
from http.client import HTTPConnection
from urllib.parse import unquote, urlsplit

from datasets.tradingview.watch import Watch


def open_tcp(host: str, port: int, watch: Watch) -> socket.socket:
    """Connect to the first address of the host that does not refuse; all share the time left."""
    refusal: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(watch.left())
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.connect(address)
            return raw
        except OSError as error:
            raw.close()
            if error.errno not in (errno.ECONNREFUSED, errno.ENETUNREACH):
                raise
            refusal = error
        except BaseException:
            # Also on Ctrl-C: the caller has no socket to close.
            raw.close()
            raise
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
    try:
        tunnel.connect()
    except BaseException:
        # Also on Ctrl-C: the caller has no socket to close.
        tunnel.close()
        raise
    return tunnel.sock
