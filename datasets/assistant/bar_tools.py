"""Tools that read bars: rows or a summary, and statistics."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from datasets.assistant.bar_statistics import at, in_short, statistics
from datasets.assistant.service_reader import ServiceReader
from datasets.assistant.tool_arguments import (
    Adjustment,
    End,
    NewestBars,
    Session,
    Source,
    Start,
    Symbol,
    TimeframeName,
    key_of,
)
from datasets.assistant.tool_replies import identity

# Most rows in a reply of `bars`. More rows are a summary and a link.
MOST_BARS = 200
_COLUMNS = ("time", "open", "high", "low", "close", "volume")
_FACTS = (
    "fetched_at", "last_bar_final", "as_of", "covers_start", "held_from", "held_through", "why_held_from",
)  # fmt: skip
_MOST_HOLES = 10


class BarTools:
    """The tools that read the bars of one series; none of them fetches."""

    def __init__(self, reader: ServiceReader) -> None:
        self._reader = reader

    def bars(
        self,
        symbol: Symbol,
        timeframe: TimeframeName = "1h",
        start: Start = None,
        end: End = None,
        n_bars: NewestBars = None,
        session: Session = "regular",
        adjustment: Adjustment = "splits",
        closed: Annotated[
            bool, Field(description="leave out a last bar that is still forming")
        ] = True,
        as_of: Annotated[
            str | None,
            Field(description="the bars as they were known at this instant, ISO 8601, UTC"),
        ] = None,
        source: Source = None,
    ) -> dict[str, Any]:
        """Give bars that are held: up to 200 rows; of more, a summary and links to all as CSV and parquet.

        Without start, end and n_bars: the newest 200. `time` is the bar's opening, UTC.
        """
        if (start, end, n_bars) == (None, None, None):
            n_bars = MOST_BARS
        series = self._reader.find_series(key_of(symbol, timeframe, session, adjustment), source)
        asked = {"start": start, "end": end, "n_bars": n_bars, "closed": closed, "as_of": as_of}
        reply = self._read(series, asked)
        answer = self._facts(series, reply)
        columns, count = reply["ohlc"], reply["count"]
        if count <= MOST_BARS:
            rows = zip(*(columns[name] for name in _COLUMNS), strict=True)
            return answer | {
                "columns": list(_COLUMNS),
                "rows": [[at(seconds), *values] for seconds, *values in rows],
            }
        address = f"series/{series['id']}/bars"
        links = {
            name: self._reader.link(address, format=name, **_plain(asked))
            for name in ("csv", "parquet")
        }
        note = f"{count:,} bars are more than {MOST_BARS}: a summary, and links to all of them."
        return answer | {"summary": in_short(columns), "too_many": note, "all_bars": links}

    def statistics(
        self,
        symbol: Symbol,
        timeframe: TimeframeName = "1D",
        start: Start = None,
        end: End = None,
        n_bars: NewestBars = None,
        session: Session = "regular",
        adjustment: Adjustment = "splits",
        source: Source = None,
    ) -> dict[str, Any]:
        """Compute returns, volatility and the largest drawdown over closed bars that are held.

        Without start, end and n_bars: the newest 5000. The reply says how prices are adjusted.
        """
        if (start, end, n_bars) == (None, None, None):
            n_bars = 5000
        series = self._reader.find_series(key_of(symbol, timeframe, session, adjustment), source)
        asked = {"start": start, "end": end, "n_bars": n_bars, "closed": True}
        reply = self._read(series, asked)
        return self._facts(series, reply) | {"statistics": statistics(reply["ohlc"])}

    def _read(self, series: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        address = f"series/{series['id']}/bars"
        return self._reader.get(address, "ohlc", format="columns", **_plain(asked))

    def _facts(self, series: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        """Return where the bars of the reply come from, and what is missing among them."""
        holes = reply["holes"]
        return {
            **identity(series),
            "count": reply["count"],
            **{name: reply[name] for name in _FACTS},
            "holes": holes[:_MOST_HOLES],
            "n_holes": len(holes),
            "rescaled": reply["rescaled"][:_MOST_HOLES],
        }


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the values as the API spells them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in asked.items()
    }
