"""What HTTP promises, through the real web server: ranges, HEAD, other origins, readers beside waiters."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from tests.support.stacks import Feed, Stack, wait_until

FRIEND = "https://app.example.com"
THREADS = 8
BARS: dict[str, str | int] = {"symbol": "BINANCE:BTCUSDT", "timeframe": "1h", "n_bars": 20000}


@pytest.fixture(scope="module")
def stack(feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web server with one dataset; nobody fetches any more."""
    running = Stack(
        tmp_path_factory.mktemp("http"),
        feed,
        CORS_ALLOWED_ORIGINS=FRIEND,
        WEB_THREADS=str(THREADS),
    )
    try:
        running.start_web()
        worker = running.start_worker()
        reply = running.get("ohlc", **BARS, wait=60)
        assert reply.status_code == 200, reply.text
        worker.kill()
        yield running
    finally:
        running.stop()


@pytest.fixture
def file_url(stack: Stack) -> str:
    number = stack.get("ohlc", **BARS).json()["dataset"]
    return f"{stack.url}/api/tv/datasets/{number}/file"


class RemoteFile(io.RawIOBase):
    """A file that is read by its address, a range at a time, as DuckDB and polars do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.size = int(requests.head(url, timeout=20).headers["Content-Length"])
        self.n_read = 0
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self._at + size, self.size)
        if end == self._at:
            return b""
        answer = requests.get(
            self.url, headers={"Range": f"bytes={self._at}-{end - 1}"}, timeout=20
        )
        assert answer.status_code == 206
        self._at += len(answer.content)
        self.n_read += len(answer.content)
        return answer.content


def test_pandas_reads_the_file_by_its_address(stack: Stack, file_url: str) -> None:
    frame = pd.read_parquet(file_url)

    bars = stack.get("ohlc", **BARS, format="columns").json()["ohlc"]
    assert frame["close"].tolist() == bars["close"]
    assert len(frame) == 20000


def test_one_column_is_read_by_ranges_without_the_rest(stack: Stack, file_url: str) -> None:
    remote = RemoteFile(file_url)

    table = pq.read_table(pa.PythonFile(remote, "r"), columns=["close"])

    bars = stack.get("ohlc", **BARS, format="columns").json()["ohlc"]
    assert table["close"].to_pylist() == bars["close"]
    assert remote.n_read < remote.size / 2


@pytest.mark.parametrize("path", ["ohlc?symbol=BINANCE:BTCUSDT&n_bars=20000", "datasets", "status"])
def test_head_says_what_get_would_send_and_sends_nothing(stack: Stack, path: str) -> None:
    address = f"{stack.url}/api/tv/{path}"

    whole, head = requests.get(address, timeout=20), requests.head(address, timeout=20)

    assert head.status_code == 200
    assert head.content == b""
    for name in ("Content-Type", "Content-Encoding", "ETag", "Cache-Control"):
        assert head.headers.get(name) == whole.headers.get(name), name


def test_a_page_of_an_allowed_origin_may_ask_with_a_token_but_not_with_a_session(
    stack: Stack,
) -> None:
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization, if-none-match"}  # fmt: skip

    before = requests.options(
        f"{stack.url}/api/tv/ohlc", headers=asks | {"Origin": FRIEND}, timeout=20
    )
    answer = requests.get(f"{stack.url}/api/tv/ohlc", params=BARS, headers={"Origin": FRIEND}, timeout=20)  # fmt: skip
    wrong = requests.get(f"{stack.url}/api/tv/ohlc", headers={"Origin": FRIEND}, timeout=20)

    for reply, status in ((before, 200), (answer, 200), (wrong, 400)):
        assert reply.status_code == status
        assert reply.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "Access-Control-Allow-Credentials" not in reply.headers
    assert "authorization" in before.headers["Access-Control-Allow-Headers"]
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("path", "origin"), [("/api/tv/status", "https://evil.example.com"), ("/login/", FRIEND)]
)
def test_other_origins_and_the_pages_stay_closed(stack: Stack, path: str, origin: str) -> None:
    answer = requests.get(stack.url + path, headers={"Origin": origin}, timeout=20)

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_cached_bars_are_served_while_every_place_for_waiting_is_taken(stack: Stack) -> None:
    with ThreadPoolExecutor(THREADS * 2) as clients:
        asked = [
            clients.submit(stack.get, "ohlc", symbol=f"BINANCE:W{number}", wait=5)
            for number in range(THREADS * 2)
        ]
        # Those who find no place get their 202 at once; the others wait.
        wait_until(
            lambda: sum(one.done() for one in asked) >= THREADS * 2 - THREADS // 4,
            what="the first 202",
        )
        began = time.monotonic()
        found = [stack.get("ohlc", **BARS).status_code for _ in range(20)]
        took_s = time.monotonic() - began
        n_waiting = sum(not one.done() for one in asked)

        assert found == [200] * 20
        assert n_waiting == THREADS // 4, f"{took_s:.1f} s for the cached bars"
        assert {one.result().status_code for one in asked} == {202}


def slow_sender(stack: Stack) -> socket.socket:
    """Begin to send a request whose body does not come."""
    address = urlsplit(stack.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=20)
    connection.sendall(
        b"POST /api/tv/fetches HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    return connection


def test_clients_that_send_slowly_hold_up_nobody(stack: Stack) -> None:
    with ExitStack() as slow:
        for _ in range(THREADS - 2):
            slow.enter_context(slow_sender(stack))

        for path in ("status", "datasets", "ohlc?symbol=BINANCE:BTCUSDT&n_bars=20000"):
            answer = requests.get(f"{stack.url}/api/tv/{path}", timeout=20)
            assert answer.status_code == 200, path


def test_a_body_that_comes_in_parts_is_read_whole(stack: Stack) -> None:
    body = json.dumps({"symbols": [f"BINANCE:P{number}" for number in range(500)]}).encode()
    address = urlsplit(stack.url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=20)) as connection:
        connection.putrequest("POST", "/api/tv/fetches")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        for start in range(0, len(body), 1000):
            connection.send(body[start : start + 1000])

        answer = connection.getresponse()

        assert answer.status == 202
        assert len(json.load(answer)["fetches"]) == 500


def test_clients_that_read_slowly_hold_up_nobody(stack: Stack, file_url: str) -> None:
    address = urlsplit(stack.url)
    with ExitStack() as slow:
        for _ in range(THREADS - 2):
            connection = slow.enter_context(socket.socket())
            # So little that the file cannot be on its way as a whole.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect((address.hostname, address.port))
            path = urlsplit(file_url).path
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

        # Slow readers can hold all places of large replies, so this one is small.
        for path in ("status", "datasets", "ohlc?symbol=BINANCE:BTCUSDT&n_bars=1000"):
            answer = requests.get(f"{stack.url}/api/tv/{path}", timeout=20)
            assert answer.status_code == 200, path
