"""One accepted WebSocket that faults can also break."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import WSMsgType, web

from samplefeed.frames import frame

_TEXT_OPCODE = 0x81  # final frame, text
_WRITE_AHEAD_BYTES = 1_000_000


class Channel:
    """Sends frames to one client. A muted channel sends only the messages of its fault."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._socket = socket
        self._transport = transport
        # Stops heartbeats and live updates: they would disturb a message that is sent in parts,
        # and a silent feed must send nothing.
        self.is_muted = False

    @property
    def is_open(self) -> bool:
        """Return whether the connection is open."""
        return not self._socket.closed and not self._transport.is_closing()

    async def send(self, *payloads: bytes) -> None:
        """Send the payloads, each in its frame, in one message."""
        await self.send_message(b"".join(map(frame, payloads)))

    async def send_message(self, data: bytes, *, is_text: bool = True) -> None:
        """Send any bytes as one message."""
        if self.is_open:
            await self._socket.send_frame(data, WSMsgType.TEXT if is_text else WSMsgType.BINARY)

    def write(self, data: bytes) -> None:
        """Write unchanged bytes to the connection, without WebSocket framing."""
        if self.is_open:
            self._transport.write(data)

    async def write_slowly(self, data: bytes) -> None:
        """Write bytes and wait until the client has read most of them."""
        self.write(data)
        while self.is_open and self._transport.get_write_buffer_size() > _WRITE_AHEAD_BYTES:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Close with the WebSocket's closing handshake."""
        if self.is_open:
            await self._socket.close()

    def cut(self) -> None:
        """Close the connection without a handshake; bytes already written still arrive."""
        self._transport.close()

    def reset(self) -> None:
        """Close the connection so that the client sees it reset."""
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def websocket_header(n_bytes: int) -> bytes:
    """Return the header of one text message of `n_bytes`."""
    if n_bytes < 126:
        return struct.pack("!BB", _TEXT_OPCODE, n_bytes)
    if n_bytes < 65_536:
        return struct.pack("!BBH", _TEXT_OPCODE, 126, n_bytes)
    return struct.pack("!BBQ", _TEXT_OPCODE, 127, n_bytes)
