"""Faults of the framing: wrong lengths, invalid text, binary messages."""

from __future__ import annotations

from dataclasses import replace

from samplefeed.faults.registry import Talk, conversation_fault
from samplefeed.frames import frame

# Characters of two, three and four bytes; the last is two units of UTF-16.
DESCRIPTION = "Ngân hàng 越南 😀"


def _framed(payload: bytes, length: int) -> bytes:
    return b"~m~%d~m~%b" % (length, payload)


def _described(talk: Talk) -> Talk:
    facts = (talk.reply.facts or {}) | {
        "description": DESCRIPTION,
        "local_description": DESCRIPTION,
    }
    return replace(talk, reply=replace(talk.reply, facts=facts))


async def _send_misframed(talk: Talk, difference: int) -> None:
    first, *rest = talk.reply.payloads()
    wrong = [_framed(payload, len(payload) + difference) for payload in rest]
    await talk.channel.send_message(frame(first) + b"".join(wrong))


@conversation_fault("Each frame names a length that is 7 too large.")
async def length_too_long(talk: Talk) -> None:
    await _send_misframed(talk, 7)


@conversation_fault("Each frame names a length that is 7 too small.")
async def length_too_short(talk: Talk) -> None:
    await _send_misframed(talk, -7)


@conversation_fault("A good answer with a non-ASCII description; n counts bytes.")
async def byte_length(talk: Talk) -> None:
    payloads = _described(talk).reply.payloads()
    await talk.channel.send_message(b"".join(_framed(one, len(one)) for one in payloads))


@conversation_fault("A good answer with a non-ASCII description; n counts UTF-16 units.")
async def utf16_length(talk: Talk) -> None:
    await talk.channel.send(*_described(talk).reply.payloads())


@conversation_fault("A frame without JSON comes instead of the bars.")
async def not_json(talk: Talk) -> None:
    reply = talk.reply
    await talk.channel.send(*reply.opening(), b"this is not JSON", reply.completed())


@conversation_fault("The good answer as a binary WebSocket message.")
async def binary_message(talk: Talk) -> None:
    data = b"".join(map(frame, talk.reply.payloads()))
    await talk.channel.send_message(data, is_text=False)


@conversation_fault("The answer as a text message with bytes that are not UTF-8.")
async def invalid_utf8(talk: Talk) -> None:
    data = b"".join(map(frame, talk.reply.payloads()))
    await talk.channel.send_message(data.replace(b"series_loading", b"series_\xff\xfeading", 1))
