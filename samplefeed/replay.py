"""Recorded bars in the place of synthetic ones, with unchanged numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplefeed.bars import Bars, Request
from samplefeed.csv_bars import read_bars
from samplefeed.facts import resolved_facts
from samplefeed.instruments import find_instrument
from samplefeed.noise import Floats
from samplefeed.timeframes import RefusedTimeframe, Timeframe, parse_timeframe

_DEFAULT_SYMBOL = "NASDAQ:AAPL"
_SECONDS = {"minute": 60, "D": 86_400, "W": 604_800, "M": 2_678_400}


@dataclass(frozen=True)
class Recording:
    """The facts and bars of one recorded series."""

    facts: dict[str, Any]
    rows: Floats
    close_at: int | None


class ReplayListing:
    """An instrument with the bars of a recording, the same at any time."""

    def __init__(self, recording: Recording, symbol: str, timeframe: Timeframe | None) -> None:
        self._recording = recording
        self._timeframe = timeframe
        self.full_symbol = symbol
        self.delay = int(recording.facts.get("delay", 0))
        self.denied_group = ""
        self.cache_key: Hashable = symbol

    def supports(self, timeframe: Timeframe) -> bool:
        """Return whether the recording has this timeframe; without a named timeframe, always True."""
        return self._timeframe is None or timeframe == self._timeframe

    def resolved(self, session: str) -> dict[str, Any]:
        """Return the recorded facts."""
        return self._recording.facts

    def quote(self, now: float) -> dict[str, Any]:
        """Return the few values of a quote that a recording contains."""
        return {"lp": float(self._recording.rows[-1, 4]), "pro_name": self.full_symbol}

    def bars(self, request: Request) -> Bars:
        """Return the newest recorded bars."""
        rows = self._recording.rows
        if request.before is not None:
            rows = rows[rows[:, 0] < request.before]
        close_at = self._recording.close_at
        if close_at is None:
            unit = request.timeframe
            close_at = int(self._recording.rows[-1, 0]) + _SECONDS[unit.unit] * unit.count
        kept = rows[-request.n_bars :]
        return Bars(
            rows=kept,
            close_at=close_at,
            mark_times=kept[:, 0].astype(np.int64),
            is_forming=False,
            is_beginning=len(rows) <= request.n_bars,
        )


def load_replay(
    path: Path, symbol: str | None = None, timeframe: str | None = None
) -> ReplayListing:
    """Return the listing of a recording or a CSV.

    Raises `ValueError` for a file of an unknown form, and for a file without bars.
    """
    parsed = parse_timeframe(timeframe) if timeframe else None
    if isinstance(parsed, RefusedTimeframe) or (timeframe and parsed is None):
        raise ValueError(f"{timeframe!r} is no timeframe of the feed.")
    is_csv = path.suffix == ".csv"
    recording = _read_csv(path, symbol) if is_csv else _read_recording(path)
    if not len(recording.rows):
        raise ValueError(f"{path} holds no bars.")
    name = symbol or recording.facts.get("pro_name", _DEFAULT_SYMBOL)
    if recording.facts.get("pro_name") != name:
        recording.facts.update(_names(name))
    return ReplayListing(recording, name, parsed)


def _read_csv(path: Path, symbol: str | None) -> Recording:
    name = symbol or _DEFAULT_SYMBOL
    rows = read_bars(path)
    instrument = find_instrument(name)
    facts = resolved_facts(instrument, "regular") if instrument else {}
    facts |= _names(name)
    has_volume = any(len(row) > 5 for row in rows)
    facts["visible_plots_set"] = "ohlcv" if has_volume else "ohlc"
    return Recording(facts, _table(rows), None)


def _names(full_symbol: str) -> dict[str, str]:
    """Return the facts that name the instrument; a client compares them with its request."""
    exchange, _, name = full_symbol.partition(":")
    return {
        "pro_name": full_symbol,
        "full_name": full_symbol,
        "name": name,
        "listed_exchange": exchange,
    }


def _read_recording(path: Path) -> Recording:
    facts: dict[str, Any] = {}
    rows: dict[float, list[float]] = {}
    close_at: int | None = None
    try:
        for message in _messages(path):
            method, parameters = message.get("m"), message.get("p", [])
            if method == "symbol_resolved":
                facts = parameters[2]
            elif method in {"timescale_update", "du"}:
                for series in parameters[1].values():
                    rows |= {bar["v"][0]: bar["v"] for bar in series.get("s", [])}
                    close_at = series.get("lbs", {}).get("bar_close_time", close_at)
        return Recording(facts, _table([rows[time] for time in sorted(rows)]), close_at)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path} is no recording of TradingView's messages.") from error


def _messages(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON messages of a recording in any of the known forms."""
    text = path.read_text()
    if not text.lstrip().startswith("["):
        yield from _payloads(text)
        return
    for item in json.loads(text):
        if isinstance(item, str):
            yield from _payloads(item)
        elif isinstance(item, dict):
            yield item


def _payloads(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON between the delimiters, which may be spread over lines."""
    for part in re.split(r"~m~\s*\d+\s*~m~", text):
        start, end = part.find("{"), part.rfind("}")
        try:
            yield json.loads(part[start : end + 1])
        except ValueError:
            # Heartbeats, and small messages that were damaged when they were copied.
            continue


def _table(rows: list[list[float]]) -> Floats:
    """Return the rows as one table; raise `ValueError` for rows of different lengths."""
    if len(set(map(len, rows))) > 1:
        raise ValueError("some bars have a volume and others have none; all must be alike.")
    return np.array(rows, dtype=np.float64)
