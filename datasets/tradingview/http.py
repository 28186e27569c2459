"""One HTTP request to TradingView: bounded in time and size, and without secrets in its errors."""

from __future__ import annotations

from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Lock, Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeout

from datasets.errors import FeedTimeout, FeedUnreachable
from datasets.tradingview.connection import ORIGIN, USER_AGENT

# Without a page of its own as origin, TradingView answers 403.
HEADERS = {"User-Agent": USER_AGENT, "Referer": f"{ORIGIN}/", "Origin": ORIGIN}
# Seconds for connecting and for each silence while reading; three times that for all.
TIMEOUT_S = 10.0
# A page is about 1 MB; what is longer is not read further.
_MAX_BYTES = 8 * 1024 * 1024


class Answer(NamedTuple):
    """What came; `location` is where a redirect points to, "" where there is none."""

    status: int
    body: bytes
    location: str


def request(method: str, url: str, *, purpose: str, **arguments: Any) -> Answer:
    """Return the answer to one request; follows no redirect.

    `purpose` completes the sentence of an error. Raises `FeedTimeout`, and `FeedUnreachable`
    also for a server that says that it is the one in trouble (5xx).
    """
    host = urlsplit(url).netloc
    headers = HEADERS | arguments.pop("headers", {})
    limit = _Limit(3 * TIMEOUT_S)
    try:
        with limit, _session(limit) as session:
            response = session.request(
                method,
                url,
                headers=headers,
                timeout=TIMEOUT_S,
                stream=True,
                allow_redirects=False,
                **arguments,
            )
            with response:
                answer = _read(response, host, purpose)
    except (requests.RequestException, HTTPError) as error:
        if limit.is_over or isinstance(error, requests.Timeout | ReadTimeout):
            raise FeedTimeout(
                f"{host} did not answer the {purpose} in time ({TIMEOUT_S:g} s for each part). It can be tried again."
            ) from _masked(error)
        raise FeedUnreachable(
            f"{host} cannot be reached for the {purpose}. Check the network and the TV_*_URL settings; "
            "it can be tried again."
        ) from _masked(error)
    if limit.is_over:
        # What ended was cut off, and perhaps without a sign of it.
        raise _endless(host)
    return answer


def _read(response: requests.Response, host: str, purpose: str) -> Answer:
    if response.status_code >= 500:
        raise FeedUnreachable(
            f"{host} cannot answer the {purpose} now (HTTP {response.status_code}). It can be tried again."
        )
    body = bytearray()
    # As it comes: to wait for a piece of a certain size is to wait for whoever drips it.
    while chunk := response.raw.read1(65536, decode_content=True):
        body += chunk
        if len(body) > _MAX_BYTES:
            raise _endless(host)
    return Answer(response.status_code, bytes(body), response.headers.get("Location", ""))


def _endless(host: str) -> FeedTimeout:
    return FeedTimeout(f"{host} sends its answer without end. It can be tried again.")


def _masked(error: BaseException) -> BaseException:
    """Return the error without the request it carries: that holds the password."""
    return type(error)(type(error).__name__)


# --- the time for all --------------------------------------------------------------------


class _Limit:
    """Cuts a request's connections off when its time is over, whatever it is reading then.

    A timeout is only for each silence: a server that drips its headers a byte at a time would
    hold us for days.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._lock = Lock()
        self._connections: list[socket] = []
        self._timer = Timer(seconds, self._cut_off)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def cover(self, connection: socket) -> None:
        """Hold the connection to the limit, also when TLS takes its place."""
        with self._lock:
            self._connections.append(connection.dup())
        if self.is_over:
            self._cut_off()

    def _cut_off(self) -> None:
        self.is_over = True
        with self._lock:
            for connection in self._connections:
                # It may have ended by itself.
                with suppress(OSError):
                    connection.shutdown(SHUT_RDWR)


def _session(limit: _Limit) -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(limit))
    return session


class _Adapter(HTTPAdapter):
    """Opens connections that keep to a limit, also by way of a proxy."""

    def __init__(self, limit: _Limit) -> None:
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


def _pools(limit: _Limit) -> dict[str, type[HTTPConnectionPool]]:
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
