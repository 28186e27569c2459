"""Faults of the answer's form: unusual, but mostly valid messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from samplefeed.faults.registry import Talk, conversation_fault
from samplefeed.frames import message
from samplefeed.reply import NO_BARS, Address, Reply


@conversation_fault("series_completed comes without any bars.")
async def no_bars(talk: Talk) -> None:
    talk.forget_older()
    await talk.channel.send(*replace(talk.reply, bars=NO_BARS).payloads())


@conversation_fault("Half of the available bars; data_completed is “limit”.")
async def short_history(talk: Talk) -> None:
    talk.forget_older()
    rows = talk.rows()
    reply = replace(talk.reply.with_rows(rows[len(rows) // 2 :]), is_limited=True)
    await talk.channel.send(*reply.payloads())


@conversation_fault("A good answer without lbs: the state of the last bar is unknown.")
async def no_lbs(talk: Talk) -> None:
    await talk.channel.send(*replace(talk.reply, close_at=None).payloads())


@conversation_fault("An empty timescale_update comes before the timescale_update with the bars.")
async def empty_first(talk: Talk) -> None:
    reply = talk.reply
    updates = [reply.empty_update(), *reply.updates()]
    await talk.channel.send(*reply.opening(), *updates, reply.completed())


@conversation_fault("A timescale_update with {} comes after the timescale_update with the bars.")
async def empty_last(talk: Talk) -> None:
    reply = talk.reply
    marks = {"index": reply.bars.n_bars, "zoffset": 0, "changes": [], "marks": []}
    update = reply.message("timescale_update", {}, marks | {"index_diff": []})
    await talk.channel.send(*reply.opening(), *reply.updates(), update, reply.completed())


@conversation_fault("The bars come in three overlapping messages; the later message is right.")
async def several_updates(talk: Talk) -> None:
    rows, reply = talk.rows(), talk.reply
    third = max(len(rows) // 3, 1)
    await talk.channel.send(*reply.opening(), reply.empty_update())
    for start in range(0, len(rows), third):
        end = min(start + third, len(rows))
        # The first bar of the next part comes here too, with an old close.
        early = [[*row[:4], row[3], *row[5:]] for row in rows[end : end + 1]]
        part = reply.with_rows([*rows[start:end], *early], first_index=start)
        await talk.channel.send(part.update())
    await talk.channel.send(reply.completed())


@conversation_fault(
    "The last bar comes with an old close; a du before completion corrects the close."
)
async def du_before_completed(talk: Talk) -> None:
    rows, reply = talk.rows(), talk.reply
    last = rows[-1]
    old = reply.with_rows([*rows[:-1], [*last[:4], last[3], *last[5:]]])
    new = reply.with_rows([last], first_index=len(rows) - 1)
    await talk.channel.send(*reply.opening(), old.update())
    await talk.channel.send(new.live_update(), reply.completed())


@conversation_fault("Heartbeats are in the same message as the answer, before it and within it.")
async def heartbeat_in_data(talk: Talk) -> None:
    reply = talk.reply
    updates = [b"~h~2", *reply.updates()]
    await talk.channel.send(b"~h~1", *reply.opening(), *updates, reply.completed())


@conversation_fault("The bars come in no order; their indexes and times are right.")
async def unordered(talk: Talk) -> None:
    rows, reply = talk.rows(), talk.reply
    numbered = sorted(enumerate(rows), key=lambda pair: (pair[0] * 7919) % 10_007)
    update = {
        "node": "sample",
        "s": [{"i": index, "v": row} for index, row in numbered],
        "ns": {"d": "", "indexes": []},
        "t": reply.address.turnaround,
        "lbs": {"bar_close_time": reply.close_at},
    }
    scale: dict[str, Any] = {"index": 0, "zoffset": 0, "changes": [], "marks": [], "index_diff": []}
    payload = reply.message("timescale_update", {reply.address.series: update}, scale)
    await talk.channel.send(*reply.opening(), payload, reply.completed())


@conversation_fault("A good answer, mixed with studies; one study fails.")
async def study_frames(talk: Talk) -> None:
    reply = talk.reply
    points = [{"i": -1_000_100, "v": [0.0, 1e100]}, {"i": 0, "v": [1.0, 2.0]}]
    study = {"st1": {"node": "sample", "st": points, "ns": {"d": "", "indexes": []}, "t": "s1_st1"}}
    scale: dict[str, Any] = {"index": 0, "changes": [], "marks": [], "index_diff": []}
    await talk.channel.send(
        reply.message("study_loading", "st1", "s1_st1"),
        *reply.opening(),
        reply.message("timescale_update", study, scale),
        *reply.updates(),
        reply.message("study_error", "st2", "s1_st2", "check study unexpected error", "undefined"),
        reply.message("du", study),
        reply.completed(),
        reply.message("study_completed", "st1", "s1_st1"),
    )


@conversation_fault(
    "A good answer, mixed with wrong bars of another chart session and another series."
)
async def other_sessions(talk: Talk) -> None:
    rows, reply = talk.rows(), talk.reply
    wrong = [[row[0], *(price * 2.0 for price in row[1:5]), *row[5:]] for row in rows]
    address = reply.address
    foreign = _moved(reply, wrong, replace(address, chart="cs_another0000"))
    sibling = _moved(reply, wrong, replace(address, series="sds_99", turnaround="s99"))
    await talk.channel.send(foreign.loading(), foreign.update(), *reply.opening())
    await talk.channel.send(
        foreign.completed(),
        sibling.update(),
        sibling.completed(),
        foreign.series_error("resolve error"),
        message("critical_error", ["cs_another0000", "invalid parameters", "method: x"]),
    )
    await talk.channel.send(*reply.updates(), foreign.update(), sibling.live_update())
    await talk.channel.send(reply.completed(), foreign.completed())


def _moved(reply: Reply, rows: list[list[Any]], address: Address) -> Reply:
    return replace(reply.with_rows(rows), address=address)
