"""A small load generator: keep-alive connections on loopback, bounded in time and count."""

from __future__ import annotations

import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Results of one run."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    status: int


def run(
    port: int, path: str, *, headers: str = "", connections: int = 8, seconds: float = 2.0
) -> Load:
    """Request `path` repeatedly on `connections` connections for `seconds`; return the rate and the times."""
    text = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n{headers}\r\n"
    deadline = time.perf_counter() + seconds
    with ThreadPoolExecutor(connections) as pool:
        results = list(pool.map(lambda _: _ask(port, text.encode(), deadline), range(connections)))
    taken = sorted(value for times, _ in results for value in times)
    return Load(
        requests_per_s=len(taken) / seconds,
        p50_ms=statistics.median(taken) * 1000,
        p99_ms=taken[int(len(taken) * 0.99)] * 1000,
        status=results[0][1],
    )


def _ask(port: int, request: bytes, deadline: float) -> tuple[list[float], int]:
    times: list[float] = []
    status = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray(1 << 20)
        while (started := time.perf_counter()) < deadline or not times:
            connection.sendall(request)
            status = _read_reply(connection, buffer)
            times.append(time.perf_counter() - started)
    return times, status


def _read_reply(connection: socket.socket, buffer: bytearray) -> int:
    """Read one reply without keeping it; return its status."""
    n_read = _receive(connection, memoryview(buffer))
    head_end = buffer.find(b"\r\n\r\n", 0, n_read)
    while head_end < 0:
        n_read += _receive(connection, memoryview(buffer)[n_read:])
        head_end = buffer.find(b"\r\n\r\n", 0, n_read)
    head = bytes(buffer[:head_end]).lower()
    status = int(head[9:12])
    at = head.find(b"content-length:")
    left = head_end + 4 - n_read
    # A 304 names the length of a body that is not sent.
    if at >= 0 and status != 304:
        left += int(head[at + 15 :].split(b"\r\n", 1)[0])
    while left > 0:
        left -= _receive(connection, memoryview(buffer))
    return status


def _receive(connection: socket.socket, buffer: memoryview) -> int:
    n_read = connection.recv_into(buffer)
    if not n_read:
        raise ConnectionError("the server closed the connection in the middle of a reply")
    return n_read
