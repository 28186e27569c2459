"""One accepted WebSocket, with ways to break it that a proper server has none of."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import WSMsgType, web

from samplefeed.frames import frame

_TEXT_OPCODE = 0x81  # final frame, text
_WRITE_AHEAD_BYTES = 1_000_000


class Channel:
    """Sends frames; a muted one says nothing more by itself."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._socket = socket
        self._transport = transport
        # Heartbeats and live updates stop when this is set: within a broken message they
        # would mend it, and silence must be silent.
        self.is_muted = False

    @property
    def is_open(self) -> bool:
        """Return whether the client can still be reached."""
        return not self._socket.closed and not self._transport.is_closing()

    async def send(self, *payloads: bytes) -> None:
        """Send the payloads, each in its frame, in one message."""
        await self.send_message(b"".join(map(frame, payloads)))

    async def send_message(self, data: bytes, *, is_text: bool = True) -> None:
        """Send bytes as one message, whatever they are."""
        if self.is_open:
            await self._socket.send_frame(data, WSMsgType.TEXT if is_text else WSMsgType.BINARY)

    def write(self, data: bytes) -> None:
        """Write bytes to the connection as they are, past the WebSocket."""
        if self.is_open:
            self._transport.write(data)

    async def write_slowly(self, data: bytes) -> None:
        """Write bytes and wait until the client has read most of them."""
        self.write(data)
        while self.is_open and self._transport.get_write_buffer_size() > _WRITE_AHEAD_BYTES:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Say goodbye and close."""
        if self.is_open:
            await self._socket.close()

    def cut(self) -> None:
        """Close the connection without a word; what was written still arrives."""
        self._transport.close()

    def reset(self) -> None:
        """Close the connection so that the client sees it reset."""
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


def websocket_header(n_bytes: int) -> bytes:
    """Return the header of one text message of so many bytes."""
    if n_bytes < 126:
        return struct.pack("!BB", _TEXT_OPCODE, n_bytes)
    if n_bytes < 65_536:
        return struct.pack("!BBH", _TEXT_OPCODE, 126, n_bytes)
    return struct.pack("!BBQ", _TEXT_OPCODE, 127, n_bytes)
