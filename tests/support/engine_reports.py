"""What an engine keeps of the bars and what it loses, measured by a round trip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from datasets.research import load
from tests.engines.cases import CASES

PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True)
class RoundTrip:
    """The bars of one case, and what came back from the engine: bars, or the text of a refusal."""

    bars: pd.DataFrame
    back: pd.DataFrame | None
    refused: str = ""


def read_round_trips(outputs: Path, results: Path) -> dict[str, RoundTrip]:
    """Return the round trip of each case."""
    found = {}
    for name, case in CASES.items():
        columns = [*PRICES, "volume", "close_time"]
        bars = load(
            case.symbol, case.timeframe, folder=outputs, closed=not case.is_forming, columns=columns
        )
        path = results / f"{name}.parquet"
        if path.exists():
            found[name] = RoundTrip(bars, pd.read_parquet(path))
        else:
            found[name] = RoundTrip(bars, None, (results / f"{name}.refused").read_text())
    return found


def row_of(title: str, trips: dict[str, RoundTrip]) -> str:
    """Return the engine's row of the table in docs/engines.md."""
    days, hours = trips["days"], trips["hours"]
    # Some engines take coins only, and no shares.
    taken = days if days.back is not None else hours
    cells = [
        title,
        _times(days),
        _times(hours),
        _values(taken, PRICES),
        _values(taken, ["volume"]),
        _missing_volume(trips["index"]),
        _kept(taken, "adjustment"),
        "refused" if trips["forming"].back is None else "taken",
    ]
    return f"| {' | '.join(cells)} |"


def _times(trip: RoundTrip) -> str:
    """Return which instant of the bar the engine holds, and with which zone."""
    if trip.back is None:
        return "refused"
    assert len(trip.back) == len(trip.bars)
    index = pd.DatetimeIndex(trip.back.index)
    zone = "without a zone" if index.tz is None else str(index.tz)
    instants = (index.tz_localize("UTC") if index.tz is None else index).as_unit("ns").asi8
    opens = pd.DatetimeIndex(trip.bars.index)
    known = {
        "opening": opens,
        "close": pd.DatetimeIndex(trip.bars["close_time"]),
        "trading date": pd.DatetimeIndex(
            opens.tz_convert(trip.bars.attrs["timezone"]).date, tz="UTC"
        ),
    }
    for name, times in known.items():
        if (times.as_unit("ns").asi8 == instants).all():
            if name == "trading date":
                return name
            return f"{name}, UTC" if zone == "UTC" else f"{name}, UTC {zone}"
    raise AssertionError(f"the engine's times are neither of {list(known)}: {index[:3]}")


def _values(trip: RoundTrip, columns: list[str]) -> str:
    """Return how many numbers the engine has changed, and the largest change."""
    if trip.back is None:
        return "refused"
    if not set(columns) <= set(trip.back.columns):
        return "lost"
    ours, theirs = trip.bars[columns].to_numpy(), trip.back[columns].to_numpy()
    changed = ours != theirs
    if not changed.any():
        return "all kept"
    largest = abs(theirs[changed] / ours[changed] - 1).max()
    return f"{changed.sum()} of {ours.size} changed, by up to {largest:.0e}".replace("e-0", "e-")


def _missing_volume(trip: RoundTrip) -> str:
    if trip.back is None:
        return "refused"
    if "volume" not in trip.back.columns:
        return "left out"
    values = trip.back["volume"].drop_duplicates()
    assert len(values) == 1
    return re.sub(r"^(\d+)\.0$", r"\1", str(values.iloc[0])).replace("nan", "NaN")


def _kept(trip: RoundTrip, fact: str) -> str:
    if trip.back is None:
        return "refused"
    return "kept" if trip.back.attrs.get(fact) == trip.bars.attrs[fact] else "lost"
