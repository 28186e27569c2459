"""Faults of the connection: silence, slowness and sudden ends."""

from __future__ import annotations

import asyncio
import itertools

from samplefeed.channel import websocket_header
from samplefeed.faults.registry import Talk, conversation_fault
from samplefeed.frames import frame, message

_ENDLESS_BYTES = 50_000_000
_MEGABYTE = b"a" * 1_000_000


def _whole_message(talk: Talk) -> bytes:
    """Return the good answer as the bytes of one WebSocket message without its header."""
    return b"".join(map(frame, talk.reply.payloads()))


@conversation_fault("After the request nothing comes, not even a heartbeat.")
async def silent(talk: Talk) -> None:
    talk.channel.is_muted = True


@conversation_fault("Only heartbeats come.")
async def heartbeats_only(talk: Talk) -> None:
    return


@conversation_fault("Half the bytes of the answer's message come, then nothing.")
async def stall_half_way(talk: Talk) -> None:
    talk.channel.is_muted = True
    data = _whole_message(talk)
    talk.channel.write(websocket_header(len(data)) + data[: len(data) // 2])


@conversation_fault("Instead of the answer, an unrelated message comes every `seconds` (1).")
async def drip(talk: Talk) -> None:
    quote = {"n": "NASDAQ:AAPL", "s": "ok", "v": {"lp": 1.0}}
    while talk.channel.is_open:
        await talk.channel.send(message("qsd", [talk.quote_session, quote]))
        await talk.pause(1.0)


@conversation_fault("The bars are repeated every `seconds` (0.2); series_completed never comes.")
async def endless(talk: Talk) -> None:
    payloads = talk.reply.payloads()[:-1]
    while talk.channel.is_open:
        await talk.channel.send(*payloads)
        await talk.pause(0.2)


@conversation_fault("The answer comes as one byte every `seconds` (0.05), and never ends.")
async def drip_bytes(talk: Talk) -> None:
    talk.channel.is_muted = True
    data = _whole_message(talk)
    # The header names a longer message, so the bytes can continue without an end.
    talk.channel.write(websocket_header(len(data) + _ENDLESS_BYTES))
    for value in itertools.chain(data, itertools.repeat(0x20)):
        if not talk.channel.is_open:
            return
        talk.channel.write(bytes([value]))
        await talk.pause(0.05)


@conversation_fault("The bars come, then a proper close instead of series_completed.")
async def close_before_completed(talk: Talk) -> None:
    await talk.channel.send(*talk.reply.payloads()[:-1])
    await talk.channel.close()


@conversation_fault("The connection ends in the middle of the answer's WebSocket frame.")
async def close_mid_frame(talk: Talk) -> None:
    talk.channel.is_muted = True
    data = _whole_message(talk)
    talk.channel.write(websocket_header(len(data)) + data[: len(data) // 2])
    talk.channel.cut()


@conversation_fault("The connection is reset (RST) after series_loading.")
async def reset(talk: Talk) -> None:
    await talk.channel.send(talk.reply.loading())
    # Without the pause, the reset would discard the bytes before the client reads them.
    await asyncio.sleep(0.05)
    talk.channel.reset()


@conversation_fault("A message that stops in the middle of its JSON, then a proper close.")
async def truncated_json_close(talk: Talk) -> None:
    data = _whole_message(talk)
    await talk.channel.send_message(data[: len(data) // 2])
    await talk.channel.close()


@conversation_fault("A message of `bytes` (100 MB) comes before the good answer.")
async def huge_message(talk: Talk) -> None:
    start, end = b'{"m":"qsd","p":["qs_huge",{"n":"', b'","s":"ok","v":{}}]}'
    n_filler = max(int(talk.args.get("bytes", 100_000_000)) - 100, 0)
    n_payload = len(start) + n_filler + len(end)
    prefix = b"~m~%d~m~" % n_payload
    # No other message may come between the parts; the whole message is never in memory.
    talk.channel.is_muted = True
    talk.channel.write(websocket_header(len(prefix) + n_payload) + prefix + start)
    while n_filler and talk.channel.is_open:
        piece = _MEGABYTE[:n_filler]
        await talk.channel.write_slowly(piece)
        n_filler -= len(piece)
    talk.channel.write(end)
    talk.channel.is_muted = False
    await talk.channel.send(*talk.reply.payloads())


@conversation_fault("A good answer; each payload is a separate message, `seconds` (0.3) apart.")
async def slow_good(talk: Talk) -> None:
    for payload in talk.reply.payloads():
        await talk.channel.send(payload)
        await talk.pause(0.3)
