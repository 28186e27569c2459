"""Readers that ask for much and do not read: they hold little, and not for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from django.core.signals import request_finished
from django.db import close_old_connections
from django.http import FileResponse, HttpResponse
from django.test import RequestFactory

from datasets.api import reply_pieces
from datasets.api.reply_pieces import LARGE_BYTES
from tests.support.stacks import Feed, Running, Stack, wait_until
from tvproject.stuck_readers import close_stuck_readers

MB = 2**20
LARGE = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=50000"
SMALL = {"symbol": "BINANCE:BTCUSDT", "n_bars": 100}


@pytest.fixture(scope="module")
def web(feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Running]]:
    """A web server of one process that sends four large replies at a time."""
    stack = Stack(tmp_path_factory.mktemp("slow"), feed, WEB_THREADS="16", WEB_READER_TIMEOUT_S="2")
    try:
        running = stack.start_web()
        worker = stack.start_worker()
        for n_bars in (50_000, 100):
            reply = stack.get("ohlc", symbol="BINANCE:BTCUSDT", n_bars=n_bars, wait=60)
            assert reply.status_code == 200
        worker.kill()
        yield stack, running
    finally:
        stack.stop()


def memory_of(running: Running) -> int:
    """Return the bytes that the server and its processes hold in memory."""
    pages = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # The process group, and the resident pages.
        if int(fields[2]) == running.process.pid:
            pages += int(fields[21])
    return pages * 4096


def test_the_look_at_the_open_files_leaves_none_open() -> None:
    files = Path("/proc/self/fd")
    before = sorted(files.iterdir())

    for _ in range(3):
        close_stuck_readers(after_s=60)

    assert sorted(files.iterdir()) == before


def a_stuck_reader(stack: Stack) -> socket.socket:
    """Ask, and never read."""
    reader = socket.socket()
    # A small window, so that little is on its way.
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", int(stack.url.rpartition(":")[2])))
    reader.sendall(f"GET {LARGE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return reader


@pytest.mark.slow
def test_stuck_readers_hold_little_and_are_cut_off(web: tuple[Stack, Running]) -> None:
    stack, running = web

    def is_served() -> bool:
        reply = requests.get(stack.url + LARGE, timeout=30)
        assert reply.status_code in (200, 503)
        if reply.status_code == 503:
            assert reply.json()["code"] == "busy"
            assert reply.headers["Retry-After"]
        return reply.status_code == 200 and len(reply.content) > LARGE_BYTES

    wait_until(is_served, what="the large reply")
    before = memory_of(running)
    with ExitStack() as readers:
        for _ in range(120):
            readers.enter_context(a_stuck_reader(stack))
        # All places are taken, and everybody else is served.
        wait_until(lambda: not is_served(), what="the refusal")
        for _ in range(5):
            began = time.monotonic()
            assert stack.get("ohlc", **SMALL).status_code == 200
            assert time.monotonic() - began < 5
        assert memory_of(running) - before < 120 * MB
        # The stuck ones are still there, and have lost their places.
        wait_until(is_served, what="a place", seconds=60)


def test_a_slow_reader_that_reads_gets_all_of_it(web: tuple[Stack, Running]) -> None:
    stack, _ = web
    began = time.monotonic()
    n_read = 0
    with requests.get(
        stack.url + LARGE, stream=True, timeout=30, headers={"Accept-Encoding": "identity"}
    ) as reply:
        while piece := reply.raw.read(256 * 1024):
            n_read += len(piece)
            # About 1 MB a second, for longer than a stuck one is borne.
            time.sleep(0.15)
        assert n_read == int(reply.headers["Content-Length"])
    assert time.monotonic() - began > 2


# --- the places ------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def all_places_free() -> Iterator[None]:
    # As Django's client does: the connection is the test's, not the reply's.
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)
    for _ in range(reply_pieces.MOST_AT_A_TIME):
        assert reply_pieces._places.acquire(blocking=False)
    for _ in range(reply_pieces.MOST_AT_A_TIME):
        reply_pieces._places.release()


def send(reply: Any, method: str = "GET") -> Any:
    return reply_pieces.send_in_pieces(lambda request: reply)(RequestFactory().generic(method, "/"))


def test_a_large_reply_comes_in_pieces_and_gives_its_place_back() -> None:
    body = bytes(range(256)) * 4096
    reply = send(HttpResponse(body, status=201, headers={"ETag": '"x"'}))

    pieces = list(reply)
    reply.close()

    assert b"".join(pieces) == body == reply.content
    assert max(map(len, pieces)) <= 65_536
    assert (reply.status_code, reply["ETag"]) == (201, '"x"')


def test_a_place_is_given_back_whether_it_was_used_or_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(LARGE_BYTES))

    send(HttpResponse(bytes(LARGE_BYTES))).close()
    unread = send(FileResponse(path.open("rb")))
    unread.close()
    unread.close()
    read = send(FileResponse(path.open("rb")))
    assert sum(map(len, read)) == LARGE_BYTES
    read.close()
    assert send(HttpResponse(bytes(LARGE_BYTES)), "HEAD").status_code == 200


def test_when_all_places_are_taken_a_large_reply_is_refused_and_a_small_one_is_not() -> None:
    taken = [send(HttpResponse(bytes(LARGE_BYTES))) for _ in range(reply_pieces.MOST_AT_A_TIME)]

    assert send(HttpResponse(bytes(LARGE_BYTES))).status_code == 503
    assert send(HttpResponse(bytes(LARGE_BYTES - 1))).status_code == 200
    for reply in taken:
        reply.close()
    reply = send(HttpResponse(bytes(LARGE_BYTES)))
    assert reply.status_code == 200
    reply.close()


def test_a_reader_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.WEB_READER_TIMEOUT_S = 30
    now = [0.0]
    monkeypatch.setattr(reply_pieces, "time", SimpleNamespace(monotonic=lambda: now[0]))
    reply = send(HttpResponse(bytes(LARGE_BYTES * 16)))

    pieces = iter(reply)
    next(pieces)
    now[0] = 33
    next(pieces)
    now[0] = 60
    with pytest.raises(StopIteration):
        next(pieces)
    reply.close()
