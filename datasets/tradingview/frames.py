"""TradingView's framing: one WebSocket message holds `~m~<n>~m~<payload>`, back to back."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson

from datasets.errors import FeedProtocol

HEARTBEAT = b"~h~"


def not_understood(what: str) -> FeedProtocol:
    """Return the error of something that TradingView is not known to say; `what` completes its sentence."""
    return FeedProtocol(
        f"TradingView {what}. Nothing was stored. Something in between may change what it sends, or its "
        "protocol has changed: `pytest -m tvdata` records what comes."
    )


def encode(method: str, parameters: list[Any]) -> str:
    """Return one framed message. The encoder escapes all but ASCII, so its length is plain."""
    return frame(json.dumps({"m": method, "p": parameters}, separators=(",", ":")))


def frame(payload: str) -> str:
    """Return an ASCII `payload` in its frame."""
    return f"~m~{len(payload)}~m~{payload}"


def split_message(data: bytes) -> list[bytes]:
    """Return the payloads of one WebSocket message, as UTF-8.

    No recording decides what `n` counts: the browser's client counts UTF-16 units, much
    prose says bytes. Where the two differ, the reading that fits the message is taken.
    Raises `FeedProtocol` when neither does.
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
        # It fits by chance and has swallowed a frame; unless the other fits too, it stands.
        with suppress(FeedProtocol):
            return _split(data, _BYTES)
    return payloads


def decode(payload: bytes) -> dict[str, Any]:
    """Return a payload's JSON object; raise `FeedProtocol` when it is none."""
    try:
        with _paused_collector(len(payload)):
            message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        message = _decode_leniently(payload)
    if not isinstance(message, dict):
        raise not_understood(f"sent {_shown(payload)}, which is no message")
    return message


def printable(text: str) -> str:
    """Return what of a text can be shown and stored anywhere, of bounded length."""
    return "".join(char for char in text[:1000] if char.isprintable())[:200]


@contextmanager
def _paused_collector(n_bytes: int) -> Iterator[None]:
    """Keep the garbage collector from walking through thousands of new lists again and again.

    A third of the time that a reply of 5,000 bars takes to read; none of them is garbage yet.
    """
    is_worth_it = n_bytes > 50_000 and gc.isenabled()
    if is_worth_it:
        gc.disable()
    try:
        yield
    finally:
        if is_worth_it:
            gc.enable()


def _decode_leniently(payload: bytes) -> Any:
    # Only to see `NaN` and `Infinity`, which are no JSON: the check of the bars names them.
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise not_understood(f"sent {_shown(payload)}, which is no JSON") from error


def _shown(payload: bytes) -> str:
    return repr(payload[:80].decode(errors="replace"))


class _Reading:
    """One way to count: the marks' bytes, and how many bytes one unit of `n` has."""

    def __init__(self, encoding: str, unit: int) -> None:
        tilde = re.escape("~m~".encode(encoding))
        digit = rb"[0-9]\x00" if unit == 2 else rb"[0-9]"
        self.header = re.compile(tilde + rb"((?:" + digit + rb"){1,9})" + tilde)
        self.unit = unit


_BYTES = _Reading("ascii", 1)
_UTF16 = _Reading("utf-16-le", 2)


def _split(data: bytes, reading: _Reading) -> list[bytes]:
    payloads = []
    position = 0
    while position < len(data):
        header = reading.header.match(data, position)
        if header is None:
            raise not_understood(f"sent {_shown(data[position:])}, which is no frame")
        length = int(header[1].replace(b"\x00", b"")) * reading.unit
        position = header.end() + length
        if position > len(data):
            raise not_understood("sent a frame that is longer than its message")
        payloads.append(data[header.end() : position])
    return payloads
