"""Bodies of requests that arrive slowly, or never."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.support.stacks import Feed, Stack, wait_until

N_THREADS = 8


@pytest.fixture(scope="module")
def stack(feed: Feed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web server of one process with few threads."""
    running = Stack(tmp_path_factory.mktemp("bodies"), feed, WEB_THREADS=str(N_THREADS))
    try:
        running.start_web()
        yield running
    finally:
        running.stop()


def begin_a_body(stack: Stack, address: str) -> socket.socket:
    """Send the headers of a request and the first byte of its body."""
    port = int(stack.url.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("address", ["/api/tv/fetches", "/login/"])
def test_bodies_that_never_end_stop_no_reader(stack: Stack, address: str) -> None:
    with ExitStack() as open_connections:
        for _ in range(4 * N_THREADS):
            open_connections.enter_context(begin_a_body(stack, address))
        assert requests.get(f"{stack.url}/healthz", timeout=5).status_code == 200
        assert requests.get(f"{stack.url}/datasets/", timeout=5).status_code == 200

        assert requests.get(f"{stack.url}/api/tv/datasets", timeout=5).status_code == 200
    # The clients have left, and bodies are read again.
    wait_until(lambda: post(stack).status_code == 202, what="a body that is read")


def post(stack: Stack) -> requests.Response:
    return requests.post(
        f"{stack.url}/api/tv/fetches", json={"symbols": ["BINANCE:BTCUSDT"]}, timeout=10
    )
