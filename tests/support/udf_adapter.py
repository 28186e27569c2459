"""A stand-in for TradingView's own UDF adapter and its library, written from their documented contract."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests


class DatafeedError(Exception):
    """What the adapter hands to the library's error callback."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar as the library has it; `time` in milliseconds."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None


class Adapter:
    """Asks a datafeed as the adapter does: it reads no status and no header, only `s`."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._session = requests.Session()
        self.config = self.ask("config")
        if not (self.config.get("supports_search") or self.config.get("supports_group_request")):
            raise DatafeedError("Unsupported datafeed configuration")

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return a reply as JSON, whatever its status."""
        query = "&".join(f"{name}={quote(str(text), safe='')}" for name, text in parameters.items())
        address = f"{self._base}/{path}" + (f"?{query}" if query else "")
        return json.loads(self._session.get(address, timeout=30).text)

    def server_time(self) -> int:
        return int(self._session.get(f"{self._base}/time", timeout=30).text)

    def resolve(self, name: str) -> dict[str, Any]:
        """Return a symbol; a reply with `s` is none."""
        found: dict[str, Any] = self.ask("symbols", symbol=name)
        if "s" in found:
            # The library calls `toLowerCase` of it.
            raise DatafeedError(found["errmsg"].lower())
        return found

    def search(self, text: str) -> list[dict[str, Any]]:
        found = self.ask("search", query=text.upper(), type="", exchange="", limit=30)
        if isinstance(found, dict):
            raise DatafeedError(found["errmsg"].lower())
        return found  # type: ignore[no-any-return]

    def history(
        self, ticker: str, resolution: str, start: int, end: int, countback: int | None = None
    ) -> list[Bar]:
        """Return the bars of one request, or [] for `no_data`."""
        more = {} if countback is None else {"countback": countback}
        found = self.ask(
            "history", symbol=ticker, resolution=resolution, **{"from": start, "to": end}, **more
        )
        if found["s"] not in ("ok", "no_data"):
            raise DatafeedError(found["errmsg"].lower())
        if found["s"] == "no_data":
            return []
        names = [name for name in "tohlcv" if name in found]
        assert len({len(found[name]) for name in names}) == 1
        bars = []
        for index in range(len(found["t"])):
            values = [float(found[name][index]) for name in names[1:]]
            bars.append(Bar(found["t"][index] * 1000, *values))
        return bars

    def chart(self, ticker: str, resolution: str, wanted: int) -> list[Bar]:
        """Return at least `wanted` bars if there are so many: the library's loop around `getBars`.

        It asks again for older bars until it has enough, or gets `no_data`.
        """
        length_s = seconds_of(resolution)
        end = self.server_time() + length_s
        held: list[Bar] = []
        for _ in range(50):
            missing = wanted - len(held)
            if missing <= 0:
                break
            found = self.history(ticker, resolution, end - missing * length_s, end, missing)
            if not found:
                break
            held = checked([*found, *held])
            end = found[0].time // 1000
        return held

    def pulse(self, ticker: str, resolution: str, held: list[Bar]) -> list[Bar]:
        """Ask for the newest two bars, as the adapter does every ten seconds; return the chart's bars after it."""
        now = self.server_time()
        found = self.history(ticker, resolution, now - 10 * seconds_of(resolution), now + 1, 2)
        if not found:
            return held
        newest = [bar for bar in found if bar.time >= held[-1].time]
        return checked([*(bar for bar in held if bar.time < newest[0].time), *newest])


def seconds_of(resolution: str) -> int:
    """Return the length of a resolution, with JavaScript's `parseInt`: `1h` would be one minute."""
    number = re.match(r"[0-9]+", resolution)
    count = int(number[0]) if number else 1
    return count * {"D": 86_400, "W": 7 * 86_400, "M": 31 * 86_400}.get(resolution[-1], 60)


def checked(bars: list[Bar]) -> list[Bar]:
    """Return the bars; the library stops at times that are not unique or not in order."""
    times = [bar.time for bar in bars]
    if times != sorted(set(times)):
        raise DatafeedError("data must have unique times")
    return bars
