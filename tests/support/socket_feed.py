"""Messages of the chart socket, and a connection whose other end the test controls."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from websocket import WebSocket

from datasets.tradingview.connection import Connection
from datasets.tradingview.conversation import SERIES_ID
from datasets.tradingview.transport import GuardedSocket
from datasets.tradingview.watch import Watch

CHART = "cs_ours"
NOW = 1_787_292_487


def update(
    bars: list[Any], method: str = "timescale_update", *, chart: str = CHART, **series: Any
) -> dict[str, Any]:
    """Return a message with bars; `series` are further fields of the series."""
    body = {"s": [{"i": index, "v": bar} for index, bar in enumerate(bars)], **series}
    return {"m": method, "p": [chart, {SERIES_ID: body}], "t": NOW}


def completed(*, chart: str = CHART, series: str = SERIES_ID, **details: Any) -> dict[str, Any]:
    """Return `series_completed`, the end of a reply."""
    return {"m": "series_completed", "p": [chart, series, "streaming", "s1", details], "t": NOW}


def loading() -> dict[str, Any]:
    """Return `series_loading`, the start of a reply."""
    return {"m": "series_loading", "p": [CHART, SERIES_ID, "s1"], "t": NOW}


def bar(time: float, price: float = 10.0, volume: float | None = 5.0) -> list[float]:
    """Return the numbers of one bar: six, or five without a volume."""
    numbers = [time, price, price + 1, price - 1, price]
    return numbers if volume is None else [*numbers, volume]


def framed(payloads: Iterable[dict[str, Any] | str], *, in_bytes: bool = False) -> bytes:
    """Return one message of frames; their length counts UTF-16 units or bytes."""
    parts = []
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        length = len(text.encode()) if in_bytes else len(text.encode("utf-16-le")) // 2
        parts.append(f"~m~{length}~m~{text}")
    return "".join(parts).encode()


def websocket_frames(message: bytes, cuts: Iterable[int] = ()) -> list[bytes]:
    """Return the WebSocket frames of one text message, split into fragments at `cuts`."""
    edges = [0, *sorted(cuts), len(message)]
    pieces = [message[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    return [
        websocket_frame(piece, opcode=0 if number else 1, is_last=number == len(pieces) - 1)
        for number, piece in enumerate(pieces)
    ]


def websocket_frame(data: bytes, *, opcode: int, is_last: bool = True) -> bytes:
    """Return one unmasked WebSocket frame, as a server sends it."""
    first = (0x80 if is_last else 0) | opcode
    if len(data) < 126:
        return struct.pack("!BB", first, len(data)) + data
    if len(data) < 65_536:
        return struct.pack("!BBH", first, 126, len(data)) + data
    return struct.pack("!BBQ", first, 127, len(data)) + data


@contextmanager
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    """Yield an upgraded connection, and the socket of the feed's side."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        guarded = GuardedSocket(ours, Watch(silence_s=2, deadline_s=5))
        ws = WebSocket(skip_utf8_validation=True)
        ws.sock, ws.connected = guarded, True  # type: ignore[assignment]
        yield Connection(ws, guarded), theirs


def texts_sent(theirs: socket.socket) -> list[str]:
    """Return the text messages that the client has sent so far."""
    theirs.setblocking(False)
    data, texts = b"", []
    try:
        while piece := theirs.recv(1 << 16):
            data += piece
    except BlockingIOError:
        pass
    while data:
        length, start = data[1] & 0x7F, 2
        if length == 126:
            length, start = struct.unpack("!H", data[2:4])[0], 4
        mask, masked = data[start : start + 4], data[start + 4 : start + 4 + length]
        if data[0] & 0x0F == 1:
            texts.append(
                bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked)).decode()
            )
        data = data[start + 4 + length :]
    return texts
