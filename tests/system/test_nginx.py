"""nginx in front of the web server, with the configuration that compose.yaml uses."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.support.stacks import ROOT, Feed, Stack, free_port, wait_until


@pytest.fixture
def proxied(feed: Feed, tmp_path: Path, need: Callable[[str], str]) -> Iterator[tuple[Stack, int]]:
    """Return a web server of two places for bodies, and the port of nginx before it."""
    program = need("nginx")
    stack = Stack(tmp_path, feed, WEB_THREADS="8", TRUSTED_PROXIES="1")
    stack.start_web()
    port = free_port()
    text = (ROOT / "examples" / "nginx.conf").read_text()
    text = text.replace("server web:8000;", f"server {stack.url.removeprefix('http://')};")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    # Of one address here, which would be many in an attack; its temporary files in a folder of ours.
    text = text.replace("limit_conn clients 256;", "limit_conn clients 2048;")
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", "http {\naccess_log off;\n" + folders, 1)
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/nginx.pid;\ndaemon off;\n{text}")
    nginx = subprocess.Popen([program, "-c", str(config), "-e", str(tmp_path / "nginx.log")])

    def answers() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
        except requests.ConnectionError:
            return False

    try:
        wait_until(answers, what="the first reply through nginx")
        yield stack, port
    finally:
        nginx.terminate()
        nginx.wait(timeout=20)
        stack.stop()


def test_slow_bodies_and_idle_connections_do_not_reach_the_web_server(
    proxied: tuple[Stack, int],
) -> None:
    _, port = proxied
    start = (
        b"POST /api/tv/fetches HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    with ExitStack() as held:
        for number in range(300):
            client = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            if number % 2:
                client.sendall(start)

        url = f"http://127.0.0.1:{port}"
        # Bodies are read too: without nginx, two silent clients would hold both places.
        body = {"symbol": "BINANCE:BTCUSDT"}
        begun = requests.post(f"{url}/api/tv/fetches", json=body, timeout=20)
        pages = [requests.get(url + path, timeout=20) for path in ("/healthz", "/datasets/")]

    assert begun.status_code == 202
    assert [page.status_code for page in pages] == [200, 200]
