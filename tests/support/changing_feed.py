"""The sample feed with a history that another process changes: `python -m tests.support.changing_feed FOLDER`.

The feed's process reads the file of `publish` for each request.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplefeed.bars import Bars, Request
from samplefeed.clock import Clock
from samplefeed.facts import resolved_facts
from samplefeed.feed import Feed
from samplefeed.instruments import find_instrument
from samplefeed.noise import Floats
from samplefeed.server import SOCKET_PATH, Server
from samplefeed.timeframes import Timeframe
from tests.support.stacks import ROOT
from tests.support.stacks import Feed as RunningFeed

_FILE = "history.json"


@dataclass(frozen=True)
class History:
    """The bars that the feed sends at one instant, UNIX seconds; the last one closes at `close_at`."""

    symbol: str
    version: int
    now: float
    close_at: int
    rows: list[list[float]]

    def publish(self, folder: Path) -> None:
        """Make the feed of this folder send these bars from now on."""
        temporary = folder / f".{_FILE}"
        temporary.write_text(json.dumps(vars(self)))
        temporary.replace(folder / _FILE)


def read_history(folder: Path) -> History:
    """Return the history that was published last."""
    return History(**json.loads((folder / _FILE).read_text()))


class _Listing:
    """One instrument at the instant of a history."""

    delay = 0
    denied_group = ""

    def __init__(self, history: History) -> None:
        self._history = history
        self.full_symbol = history.symbol
        # Another version has other prices for the same times.
        self.cache_key = (history.symbol, history.version)

    def supports(self, timeframe: Timeframe) -> bool:
        return True

    def resolved(self, session: str) -> dict[str, Any]:
        instrument = find_instrument("BINANCE:BTCUSDT")
        assert instrument is not None
        exchange, _, name = self._history.symbol.partition(":")
        names = {"pro_name": self._history.symbol, "full_name": self._history.symbol}
        names |= {"name": name, "listed_exchange": exchange}
        return resolved_facts(instrument, session) | names

    def quote(self, now: float) -> dict[str, Any]:
        return {"lp": self._history.rows[-1][4], "pro_name": self._history.symbol}

    def bars(self, request: Request) -> Bars:
        rows: Floats = np.array(self._history.rows)
        if request.before is not None:
            rows = rows[rows[:, 0] < request.before]
        kept = rows[-request.n_bars :]
        is_newest = bool(len(kept)) and kept[-1, 0] == self._history.rows[-1][0]
        return Bars(
            rows=kept,
            close_at=self._history.close_at,
            mark_times=kept[:, 0].astype(np.int64),
            is_forming=is_newest and self._history.close_at > self._history.now,
            is_beginning=len(rows) <= request.n_bars,
        )


@dataclass
class _HistoryClock(Clock):
    folder: Path = Path()

    def now(self) -> float:
        return read_history(self.folder).now


@dataclass
class _ChangingFeed(Feed):
    folder: Path = Path()

    def find(self, full_symbol: str) -> _Listing | None:
        history = read_history(self.folder)
        return _Listing(history) if history.symbol == full_symbol else None


class ChangingFeed(RunningFeed):
    """The sample feed with a history that changes, in its own process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.changing_feed", str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.addresses = json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


async def _serve(folder: Path) -> None:
    server = Server(_ChangingFeed(clock=_HistoryClock(folder=folder), folder=folder), None)
    port = await server.start("127.0.0.1", 0)
    host = f"127.0.0.1:{port}"
    places = {"ws_url": f"ws://{host}{SOCKET_PATH}", "site_url": f"http://{host}"}
    places |= {"search_url": f"http://{host}"}
    sys.stdout.write(json.dumps(places) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
