"""TradingView's framing: a message is a sequence of `~m~<n>~m~<payload>`."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_HEADER = re.compile(r"~m~(\d{1,9})~m~")
# How orjson writes a number below 0.0001 in a list.
_SMALL = (b"e-", b",0.0000", b"[0.0000", b"-0.0000")


class WrongData(Exception):
    """The client sent bytes that are not a frame with a message."""


def frame(payload: bytes) -> bytes:
    """Return the payload in its frame; `n` counts UTF-16 units, as a browser does."""
    n = len(payload) if payload.isascii() else len(payload.decode().encode("utf-16-le")) // 2
    return b"~m~%d~m~%b" % (n, payload)


def message(method: str, parameters: list[Any], stamps: dict[str, int] | None = None) -> bytes:
    """Return the payload of one message; chart messages carry time stamps."""
    return orjson.dumps({"m": method, "p": parameters, **(stamps or {})})


def numbers(value: Any) -> bytes:
    """Return JSON with small numbers in TradingView's form: 1.2e-05, not 0.000012."""
    text = orjson.dumps(value)
    if any(mark in text for mark in _SMALL):
        # The standard library's encoder uses this form, but it is ten times slower.
        return json.dumps(value, separators=(",", ":")).encode()
    return text


def split(text: str) -> list[str]:
    """Return the payloads of a client's message."""
    payloads, position = [], 0
    while position < len(text):
        header = _HEADER.match(text, position)
        if header is None or header.end() + int(header[1]) > len(text):
            raise WrongData(text[position : position + 40])
        position = header.end() + int(header[1])
        payloads.append(text[header.end() : position])
    return payloads


def parse(payload: str) -> tuple[str, list[Any]]:
    """Return method and parameters of a client's payload."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise WrongData(payload[:40]) from error
    if not isinstance(body, dict) or not isinstance(body.get("m"), str):
        raise WrongData(payload[:40])
    parameters = body.get("p")
    return body["m"], parameters if isinstance(parameters, list) else []
