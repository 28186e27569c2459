"""Registry of the faults by name. A fault replaces the good answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from samplefeed.changes import CHANGES
from samplefeed.channel import Channel
from samplefeed.reply import Reply
from samplefeed.sessions import Series

UPGRADE, CONVERSATION, HISTORY, LIVE = "upgrade", "conversation", "history", "live"


@dataclass(frozen=True)
class Talk:
    """Input of a fault: the good answer, its series, and the channel to the client."""

    channel: Channel
    series: Series
    reply: Reply
    args: dict[str, Any]
    quote_session: str

    def rows(self) -> list[list[Any]]:
        """Return the bars of the good answer."""
        return [list(row) for row in self.series.listing.bars(self.series.request).as_lists()]

    async def pause(self, seconds: float) -> None:
        """Wait for the fault's argument `seconds`, or for this default."""
        await asyncio.sleep(float(self.args.get("seconds", seconds)))

    def forget_older(self) -> None:
        """Make `request_more_data` bring no bars."""
        self.series.first_time = None


Run = Callable[[Talk], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Faults of the upgrade happen before the conversation. Faults of the history are `changes`:
    they stay in force for one symbol and need arguments. A live fault replaces one live update.
    """

    name: str
    level: str
    sentence: str
    run: Run | None = None


FAULTS: dict[str, Fault] = {}


async def run_fault(name: str, talk: Talk) -> None:
    """Run a conversation fault until it ends or the client is gone."""
    run = FAULTS[name].run
    if run is not None:
        with contextlib.suppress(ConnectionError):
            await run(talk)


def add(name: str, sentence: str, run: Run) -> None:
    """Register a conversation fault."""
    FAULTS[name] = Fault(name, CONVERSATION, sentence, run)


def conversation_fault(sentence: str) -> Callable[[Run], Run]:
    """Register the decorated function as a conversation fault of the same name."""

    def enter(run: Run) -> Run:
        add(getattr(run, "__name__", ""), sentence, run)
        return run

    return enter


for _name, _sentence in {
    "upgrade_429": "The upgrade is answered with 429 Too Many Requests.",
    "upgrade_403": "The upgrade is answered with 403 Forbidden and a page of HTML.",
    "upgrade_429_unfinished": "The upgrade is answered with 429, and the announced page never comes.",
    "upgrade_502": "The upgrade is answered with 502 Bad Gateway.",
    "silent_upgrade": "The connection is accepted, and the upgrade is never answered.",
    "hello_late": "The hello comes `seconds` (2) late.",
}.items():
    FAULTS[_name] = Fault(_name, UPGRADE, _sentence)

for _name, _sentence in {
    "live_silence": "A live update (`du`) is left out; heartbeats go on.",
    "live_dead": "From the next live update on, the open connection is silent, without heartbeats.",
    "live_cut": "The connection is closed instead of a live update.",
}.items():
    FAULTS[_name] = Fault(_name, LIVE, _sentence)

for _name, (_sentence, _) in CHANGES.items():
    FAULTS[_name] = Fault(_name, HISTORY, _sentence)
