"""A service that sends false data, or another server: the loader writes only into its cache, and ends."""

from __future__ import annotations

import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from datasets.errors import DatasetsError
from datasets.research import ServiceFailed, catalog, load
from datasets.research.service import service_http
from tests.support.factories import a_key

MB = 2**20
Answer = Callable[["Handler"], None]


class Hostile(ThreadingHTTPServer):
    """Sends the test's answer for the path of the request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.is_over = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error of a closed connection: the loader is expected to hang up."""


class Handler(BaseHTTPRequestHandler):
    server: Hostile

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answers[self.path.partition("?")[0]](self)

    do_POST = do_GET

    def send(self, body: bytes, status: int = 200, /, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as server:
        Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server
        server.is_over.set()
        server.shutdown()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "deep" / "down" / "in" / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def send_json(document: Any) -> Answer:
    return lambda handler: handler.send(json.dumps(document).encode())


def a_row(**changes: Any) -> dict[str, Any]:
    """Return a row of the catalog as our own service sends it."""
    key = a_key(n_bars=10)
    return {
        **key.as_dict(), "id": 1, "full_symbol": key.full_symbol, "state": "ready", "count": 10, "bytes": 10,
        "path": f"{key.source}/BINANCE_BTCUSDT_1h_10.parquet", "content_hash": "00", "instrument": {},
        "fetched_at": "2026-01-01T00:00:00Z", "first_time": None, "last_time": None, "last_bar_final": True,
    } | changes  # fmt: skip


def load_from(server: Hostile) -> None:
    load("BINANCE:BTCUSDT", source="sample", url=server.url)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "../../escaped", "path": "../../escaped/BINANCE_BTCUSDT_1h_10.parquet"},
        {"source": "{tmp}/absolute", "path": "{tmp}/absolute/BINANCE_BTCUSDT_1h_10.parquet"},
        {"source": "", "path": "/BINANCE_BTCUSDT_1h_10.parquet"},
        {"source": "a\0b", "path": "a\0b/BINANCE_BTCUSDT_1h_10.parquet"},
        {"source": ".", "path": "./BINANCE_BTCUSDT_1h_10.parquet"},
        {"source": 5},
        {"exchange": "../../ESCAPED", "path": "sample/../../ESCAPED_BTCUSDT_1h_10.parquet"},
        {"symbol": "A\0B", "path": "sample/BINANCE_A\0B_1h_10.parquet"},
        {"symbol": None},
        {"timeframe": ["1h"]},
        {"session": {}},
        {"n_bars": "10"},
        {"n_bars": True},
        {"n_bars": 10**300},
        {"n_bars": -1},
        {"path": "sample/../../../escaped.parquet"},
        {"path": None},
        {"id": "1/../../secret"},
        {"count": "many"},
        {"fetched_at": "yesterday"},
        {"instrument": "x"},
    ],
)
def test_a_wrong_key_is_refused_and_nothing_is_written(
    changes: dict[str, Any], hostile: Hostile, tmp_path: Path
) -> None:
    told = json.loads(json.dumps(changes).replace("{tmp}", str(tmp_path)))
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [a_row(**told)], "next": None}),
        "/api/tv/datasets/1/file": lambda handler: handler.send(b"PAR1"),
    }

    for ask in (load_from, lambda server: catalog(url=server.url)):
        with pytest.raises(ServiceFailed, match="is it the service"):
            ask(hostile)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("file" in path for path in hostile.asked)


def test_an_unrequested_dataset_is_not_copied(hostile: Hostile, tmp_path: Path) -> None:
    other = a_row(source="tradingview", path="tradingview/BINANCE_BTCUSDT_1h_10.parquet")
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [other], "next": None}),
        "/api/tv/status": send_json({"source": "sample"}),
    }

    with pytest.raises(DatasetsError, match="has no bars of BINANCE:BTCUSDT"):
        load_from(hostile)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_copy_is_written_only_into_the_cache_folder(
    hostile: Hostile, tmp_path: Path, own_cache: Path
) -> None:
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [a_row()], "next": None}),
        "/api/tv/datasets/1/file": lambda handler: handler.send(b"no parquet"),
    }

    with pytest.raises(DatasetsError):
        load_from(hostile)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert all(path.is_relative_to(own_cache) for path in written)


# --- size --------------------------------------------------------------------------------


def bomb(n_bytes: int) -> bytes:
    """Return a gzip body that unpacks to `n_bytes` zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first, again = (packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    # A block after a full flush does not depend on earlier blocks.
    return first + again * (n_bytes // MB - 1)


@pytest.mark.parametrize("address", ["/api/tv/datasets", "/api/tv/datasets/1/file"])
def test_a_small_body_that_unpacks_to_gigabytes_is_not_unpacked(
    address: str, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = bomb(2048 * MB)
    assert len(packed) < 3 * MB
    monkeypatch.setattr("datasets.research.service.service_client.MAX_FILE_BYTES", 20 * MB)
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [a_row()], "next": None}),
        address: lambda handler: handler.send(packed, Content_Encoding="gzip"),
    }

    tracemalloc.start()
    try:
        with pytest.raises(ServiceFailed, match=r"sends more than \d+ MB for one request"):
            load_from(hostile)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 80 * MB


def test_a_body_without_end_is_given_up(hostile: Hostile) -> None:
    def pour(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.is_over.is_set():
            handler.wfile.write(bytes(MB))

    hostile.answers = {"/api/tv/datasets": pour}

    with pytest.raises(ServiceFailed, match=r"sends more than 16 MB"):
        load_from(hostile)


def test_a_list_without_end_is_given_up(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.research.service.service_client._MAX_LISTED", 20)
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [a_row()] * 5, "next": "http://x/?cursor=again"})
    }

    with pytest.raises(ServiceFailed, match="a list that does not end"):
        load_from(hostile)
    assert len(hostile.asked) == 5


def test_an_empty_list_without_end_stops_at_the_deadline(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_http, "PATIENCE_S", 0.3)
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [], "next": "http://x/?cursor=again"})
    }

    with pytest.raises(ServiceFailed, match="has not given all"):
        load_from(hostile)


# --- time --------------------------------------------------------------------------------


def drip_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.server.is_over.wait(0.05):
        handler.wfile.write(b"x")


def drip_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.is_over.wait(0.05):
        handler.wfile.write(b" ")


def drip_packed(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    for byte in gzip.compress(bytes(10_000)):
        handler.wfile.write(bytes([byte]))
        handler.server.is_over.wait(0.1)


def send_nothing(handler: Handler) -> None:
    handler.server.is_over.wait(30)


@pytest.mark.parametrize("answer", [drip_headers, drip_body, drip_packed, send_nothing])
def test_a_reply_that_drips_is_given_up(
    answer: Answer, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_http, "REQUEST_S", 0.4)
    hostile.answers = {"/api/tv/datasets": answer}

    begun = time.monotonic()
    with pytest.raises(ServiceFailed, match=r"takes longer than 0\.4 s to answer"):
        load_from(hostile)
    assert time.monotonic() - begun < 5


# --- sense -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda handler: handler.send(b"[" * 100_000),
        lambda handler: handler.send(b"\xff\xfe"),
        lambda handler: handler.send(b"{}", Content_Encoding="gzip"),
        lambda handler: handler.send(gzip.compress(b"{}")[:-6], Content_Encoding="gzip"),
        lambda handler: handler.send(b"{}", Content_Encoding="deflate"),
        send_json({"results": {"a": 1}}),
        send_json({"results": 5}),
        send_json({"results": [None]}),
        lambda handler: handler.send(b"", 302, Location="http://127.0.0.1:9/"),
        lambda handler: handler.send(b'{"code": ["x"], "detail": {}}', 500),
        lambda handler: handler.send(b'{"code": "invalid_request", "detail": "no", "errors": 5}', 400),
        lambda handler: handler.wfile.write(b"HTTP/1.1 nonsense\r\n\r\n"),
        lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
        lambda handler: handler.send(b"short", Content_Length="500"),
    ],
)  # fmt: skip
def test_a_nonsensical_answer_is_a_named_error(answer: Answer, hostile: Hostile) -> None:
    hostile.answers = {"/api/tv/datasets": answer}

    with pytest.raises(DatasetsError):
        load_from(hostile)


@pytest.mark.parametrize(
    "fetch",
    [
        {"state": "failed", "error": None},
        {"state": "failed", "error": {"code": ["x"], "detail": 5}},
        {"state": "cancelled"},
    ],
)
def test_a_nonsensical_fetch_is_a_named_error(fetch: dict[str, Any], hostile: Hostile) -> None:
    hostile.answers = {
        "/api/tv/datasets": send_json({"results": [], "next": None}),
        "/api/tv/status": send_json({"source": "sample"}),
        "/api/tv/fetches": send_json({"fetches": [{"id": 7}]}),
        "/api/tv/fetches/7": send_json(fetch),
    }

    with pytest.raises(ServiceFailed):
        load("BINANCE:BTCUSDT", source="sample", url=hostile.url, fetch="missing")


def test_a_retry_after_that_is_no_number_counts_as_a_second(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr("datasets.research.service.service_http.time.sleep", paused.append)
    replies = iter([("²", 429), ("99999", 429), ("nan", 429)])

    def refuse(handler: Handler) -> None:
        after, status = next(replies, ("", 500))
        handler.send(b"{}", status, Retry_After=after.encode().decode("latin-1"))

    hostile.answers = {"/api/tv/datasets": refuse}

    with pytest.raises(ServiceFailed, match="answered 500"):
        load_from(hostile)
    assert paused == [1.0, 60.0, 1.0]
