"""TradingView's framing: a WebSocket message is a sequence of `~m~<n>~m~<payload>`."""

from __future__ import annotations

import gc
import json
import re
from contextlib import suppress
from typing import Any

import orjson

from datasets.errors import FeedProtocol

HEARTBEAT = b"~h~"


def not_understood(what: str) -> FeedProtocol:
    """Return the error for an unknown message; `what` completes the sentence "TradingView …"."""
    return FeedProtocol(
        f"TradingView {what}. Nothing was stored. A proxy may change the messages, or TradingView's protocol has "
        "changed: `pytest -m tvdata` records the messages."
    )


def encode(method: str, parameters: list[Any]) -> str:
    """Return one framed message. It is ASCII, so its length is the same in every unit."""
    return frame(json.dumps({"m": method, "p": parameters}, separators=(",", ":")))


def frame(payload: str) -> str:
    """Return an ASCII `payload` in its frame."""
    return f"~m~{len(payload)}~m~{payload}"


def split_message(data: bytes) -> list[bytes]:
    """Return the payloads of one WebSocket message, as UTF-8.

    No recording shows whether `n` counts UTF-16 units, as the browser's client does, or bytes,
    as many descriptions state. Where the two differ, the unit that fits the message is used.
    Raises `FeedProtocol` when neither fits.
    """
    if data.isascii():
        return _split(data, _BYTES)
    try:
        utf16 = data.decode().encode("utf-16-le")
    except UnicodeDecodeError as error:
        raise not_understood("sent text that is not UTF-8") from error
    try:
        payloads = [payload.decode("utf-16-le").encode() for payload in _split(utf16, _UTF16)]
    except (FeedProtocol, UnicodeDecodeError):
        return _split(data, _BYTES)
    if any(_BYTES.header.search(payload) for payload in payloads):
        # A payload contains a frame header, so UTF-16 units may fit by chance: bytes win if they fit.
        with suppress(FeedProtocol):
            return _split(data, _BYTES)
    return payloads


def decode(payload: bytes) -> dict[str, Any]:
    """Return a payload's JSON object; raise `FeedProtocol` for any other payload."""
    # The garbage collector would visit all new lists of a large message several times, and none is
    # garbage yet: a third of the parsing time of a reply of 5,000 bars.
    is_paused = len(payload) > 50_000 and gc.isenabled()
    if is_paused:
        gc.disable()
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            # Accepts `NaN` and `Infinity`, which are not JSON; the check of the bars then reports them.
            message = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise not_understood(f"sent {_shown(payload)}, which is not JSON") from error
    finally:
        if is_paused:
            gc.enable()
    if not isinstance(message, dict):
        raise not_understood(f"sent {_shown(payload)}, which is not a message")
    return message


def printable(text: str) -> str:
    """Return the printable characters of a text, at most 200."""
    return "".join(char for char in text[:1000] if char.isprintable())[:200]


def _shown(payload: bytes) -> str:
    return repr(payload[:80].decode(errors="replace"))


class _Unit:
    """A unit of `n`: the pattern of a frame header, and the bytes of one unit."""

    def __init__(self, encoding: str, n_bytes: int) -> None:
        tilde = re.escape("~m~".encode(encoding))
        digit = rb"[0-9]\x00" if n_bytes == 2 else rb"[0-9]"
        self.header = re.compile(tilde + rb"((?:" + digit + rb"){1,9})" + tilde)
        self.n_bytes = n_bytes


_BYTES = _Unit("ascii", 1)
_UTF16 = _Unit("utf-16-le", 2)


def _split(data: bytes, unit: _Unit) -> list[bytes]:
    payloads = []
    position = 0
    while position < len(data):
        header = unit.header.match(data, position)
        if header is None:
            raise not_understood(f"sent {_shown(data[position:])}, which is not a frame")
        length = int(header[1].replace(b"\x00", b"")) * unit.n_bytes
        position = header.end() + length
        if position > len(data):
            raise not_understood("sent a frame that is longer than its message")
        payloads.append(data[header.end() : position])
    return payloads
