"""Faults of the content: valid answers with the wrong bars or the wrong instrument."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from samplefeed.bars import Bars
from samplefeed.faults.registry import Talk, conversation_fault
from samplefeed.frames import frame
from samplefeed.rendering import render
from samplefeed.timeframes import Timeframe

OTHER_SYMBOL = "NASDAQ:MSFT"
_MINUTE = Timeframe("minute", 1)
_DAY = Timeframe("D", 1)
_MEGABYTE = 1_000_000


def _bars_of(talk: Talk, timeframe: Timeframe) -> Bars:
    return talk.series.listing.bars(replace(talk.series.request, timeframe=timeframe))


async def _send_bars(talk: Talk, bars: Bars, name: str) -> None:
    talk.forget_older()
    rendered = render(bars, (*talk.series.key, name))
    reply = replace(talk.reply, bars=rendered, close_at=bars.close_at, is_limited=True)
    await talk.channel.send(*reply.payloads())


@conversation_fault("The bars are minutes for every timeframe, and days for the timeframe 1.")
async def shorter_bars(talk: Talk) -> None:
    is_minute = talk.series.request.timeframe == _MINUTE
    await _send_bars(talk, _bars_of(talk, _DAY if is_minute else _MINUTE), "shorter")


@conversation_fault("The bars are days for every timeframe, and weeks for the timeframe 1D.")
async def longer_bars(talk: Talk) -> None:
    is_day = talk.series.request.timeframe == _DAY
    await _send_bars(talk, _bars_of(talk, Timeframe("W", 1) if is_day else _DAY), "longer")


def _other_facts(talk: Talk) -> dict[str, Any]:
    exchange, _, name = OTHER_SYMBOL.partition(":")
    names = {"pro_name": OTHER_SYMBOL, "full_name": f"BATS:{name}", "name": name}
    return {
        **(talk.reply.facts or {}),
        **names,
        "listed_exchange": exchange,
        "base_name": [OTHER_SYMBOL],
        "legs": [f"BATS:{name}"],
    }


@conversation_fault(f"symbol_resolved names {OTHER_SYMBOL} for every symbol.")
async def other_instrument(talk: Talk) -> None:
    await talk.channel.send(*replace(talk.reply, facts=_other_facts(talk)).payloads())


@conversation_fault(f"A second symbol_resolved, after the bars, names {OTHER_SYMBOL}.")
async def other_instrument_later(talk: Talk) -> None:
    later = replace(talk.reply, facts=_other_facts(talk)).resolved()
    *before, end = talk.reply.payloads()
    await talk.channel.send(*before, later, end)


@conversation_fault("symbol_resolved names the same symbol of the exchange ELSEWHERE.")
async def other_listing(talk: Talk) -> None:
    facts = talk.reply.facts or {}
    name = f"ELSEWHERE:{talk.series.listing.full_symbol.partition(':')[2]}"
    changed = facts | {"pro_name": name, "full_name": name, "listed_exchange": "ELSEWHERE"}
    await talk.channel.send(*replace(talk.reply, facts=changed).payloads())


@conversation_fault("series_completed comes twice, with wrong bars between.")
async def changed_after_completion(talk: Talk) -> None:
    rows, reply = talk.rows(), talk.reply
    wrong = reply.with_rows(
        [[row[0], *(2 * price for price in row[1:5]), *row[5:]] for row in rows]
    )
    await talk.channel.send(*reply.payloads(), wrong.update(), reply.completed())


@conversation_fault("series_completed comes twice, in one message.")
async def completed_twice(talk: Talk) -> None:
    await talk.channel.send(*talk.reply.payloads(), talk.reply.completed())


@conversation_fault(
    "Half the bars, and series_completed twice, in two messages; older bars follow."
)
async def completed_again(talk: Talk) -> None:
    reply = _newer_half(talk)
    await talk.channel.send(*reply.payloads())
    await talk.channel.send(reply.completed())


@conversation_fault("Half the bars; the answer to request_more_data changes some of them.")
async def changed_newer_bars(talk: Talk) -> None:
    reply = _newer_half(talk)
    rows = talk.rows()
    changed = rows[len(rows) // 2 :][:-5]
    talk.series.resent = [[row[0], *(2 * price for price in row[1:5]), *row[5:]] for row in changed]
    await talk.channel.send(*reply.payloads())


def _newer_half(talk: Talk) -> Any:
    """Return the newer half of the good answer; `request_more_data` then brings the older half."""
    rows = talk.rows()
    newer = rows[len(rows) // 2 :]
    talk.series.first_time = float(newer[0][0])
    talk.series.n_sent = len(newer)
    return replace(talk.reply.with_rows(newer), is_limited=False)


@conversation_fault("A message of `bytes` (31 MB) that holds only empty lists.")
async def crowded_message(talk: Talk) -> None:
    n_lists = int(talk.args.get("bytes", 31 * _MEGABYTE)) // 3
    body = b"[]," * n_lists + b"[]"
    payload = b'{"m":"timescale_update","p":["%b",[%b]]}' % (
        talk.reply.address.chart.encode(),
        body,
    )
    await talk.channel.send_message(frame(payload))
