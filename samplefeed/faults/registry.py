"""Every fault by name; a fault takes the place of a good answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from samplefeed.channel import Channel
from samplefeed.reply import Reply
from samplefeed.sessions import Series

UPGRADE, CONVERSATION = "upgrade", "conversation"


@dataclass(frozen=True)
class Talk:
    """What a fault works with: the good answer, and the channel to do something else with it."""

    channel: Channel
    series: Series
    reply: Reply
    args: dict[str, Any]
    quote_session: str

    def rows(self) -> list[list[Any]]:
        """Return the bars of the good answer."""
        return [list(row) for row in self.series.listing.bars(self.series.request).as_lists()]

    async def pause(self, seconds: float) -> None:
        """Wait; the argument `seconds` of the fault decides, else this default."""
        await asyncio.sleep(float(self.args.get("seconds", seconds)))

    def forget_older(self) -> None:
        """Let `request_more_data` bring nothing."""
        self.series.first_time = None


Run = Callable[[Talk], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One fault. Those of the upgrade happen before there is a conversation."""

    name: str
    level: str
    sentence: str
    run: Run | None = None


FAULTS: dict[str, Fault] = {}


def add(name: str, sentence: str, run: Run) -> None:
    """Enter a conversation fault."""
    FAULTS[name] = Fault(name, CONVERSATION, sentence, run)


def conversation_fault(sentence: str) -> Callable[[Run], Run]:
    """Enter the decorated function under its own name."""

    def enter(run: Run) -> Run:
        add(getattr(run, "__name__", ""), sentence, run)
        return run

    return enter


for _name, _sentence in {
    "upgrade_429": "The upgrade is answered with 429 Too Many Requests.",
    "upgrade_403": "The upgrade is answered with 403 Forbidden and a page of HTML.",
    "upgrade_429_unfinished": "The upgrade is answered with 429, and the page that should follow never comes.",
    "upgrade_502": "The upgrade is answered with 502 Bad Gateway.",
    "silent_upgrade": "The connection is accepted and the upgrade never answered.",
    "hello_late": "The hello comes late; `seconds` says by how much (2).",
}.items():
    FAULTS[_name] = Fault(_name, UPGRADE, _sentence)
