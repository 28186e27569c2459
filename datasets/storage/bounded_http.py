"""HTTP that is bounded: in the time of a whole request, and in the size of a reply."""

from __future__ import annotations

import zlib
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Lock, Timer
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

# What is read, and what is unpacked, in one step.
_STEP = 65_536


class BodyTooLarge(Exception):
    """A reply is longer than allowed, as it was sent or when it is unpacked."""


class BodyUnreadable(Exception):
    """A reply is packed in another way than was asked for, or its packing is broken."""


def read_body(response: requests.Response, *, max_bytes: int) -> bytes:
    """Return the reply's body, unpacked; the request must have been made with `stream=True`.

    Raises `BodyTooLarge` as soon as more than `max_bytes` have come or have been unpacked, and
    `BodyUnreadable`.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise BodyUnreadable(encoding)
    unpacker = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body = bytearray()
    n_sent = 0
    # As it comes: waiting for a piece of a certain size is waiting for a server that drips it.
    while piece := response.raw.read1(_STEP, decode_content=False):
        n_sent += len(piece)
        if n_sent > max_bytes:
            raise BodyTooLarge
        if unpacker is None:
            body += piece
        else:
            _unpack(unpacker, piece, body, max_bytes)
    if unpacker is not None and n_sent and not unpacker.eof:
        raise BodyUnreadable(encoding)
    return bytes(body)


def _unpack(unpacker: Any, piece: bytes, body: bytearray, max_bytes: int) -> None:
    """Add what the piece holds, a step at a time: a few bytes can stand for gigabytes."""
    try:
        while piece:
            body += unpacker.decompress(piece, _STEP)
            if len(body) > max_bytes:
                raise BodyTooLarge
            piece = unpacker.unconsumed_tail
    except zlib.error as error:
        raise BodyUnreadable(str(error)) from None


class TimeLimit:
    """Cuts a session's connection off when the time of a request is over, whatever it does then.

    A timeout is only for each silence: a server that drips its headers a byte at a time would
    hold a request for days. Of use to one request after another, each in a `with` block.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self._lock = Lock()
        self._connection: socket | None = None
        self._timer: Timer | None = None

    def __enter__(self) -> None:
        self.is_over = False
        self._timer = Timer(self.seconds, self._cut_off)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def cover(self, connection: socket) -> None:
        """Hold the connection to the limit in place of the last one, also when TLS takes its place."""
        self.close()
        with self._lock:
            self._connection = connection.dup()
        if self.is_over:
            self._cut_off()

    def close(self) -> None:
        """Let the connection go."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _cut_off(self) -> None:
        self.is_over = True
        with self._lock:
            if self._connection is not None:
                # It may have ended by itself.
                with suppress(OSError):
                    self._connection.shutdown(SHUT_RDWR)


def limited_session(limit: TimeLimit) -> requests.Session:
    """Return a session for one request at a time, whose connection keeps to the limit."""
    session = requests.Session()
    # The one packing that `read_body` unpacks.
    session.headers["Accept-Encoding"] = "gzip"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(limit))
    return session


class _Adapter(HTTPAdapter):
    """Opens connections that keep to a limit, also by way of a proxy."""

    def __init__(self, limit: TimeLimit) -> None:
        self._pools = _pools(limit)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        # A SOCKS proxy is reached in its own way.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(limit: TimeLimit) -> dict[str, type[HTTPConnectionPool]]:
    class Covered:
        def _new_conn(self) -> socket:
            connection: socket = super()._new_conn()  # type: ignore[misc]
            limit.cover(connection)
            return connection

    class Connection(Covered, HTTPConnection):
        pass

    class TLSConnection(Covered, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TLSPool(HTTPSConnectionPool):
        ConnectionCls = TLSConnection

    return {"http": Pool, "https": TLSPool}
