"""Tools about what the service has: symbols, series, coverage, gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from datasets.assistant.service_reader import ServiceReader
from datasets.assistant.tool_arguments import (
    Adjustment,
    Session,
    Source,
    Symbol,
    TimeframeName,
    key_of,
)
from datasets.assistant.tool_replies import identity

# Most rows of a list in one reply.
MOST_ROWS = 50
_SERIES_FACTS = (
    "count", "first_time", "last_time", "last_bar_final", "fetched_at", "generation", "n_holes",
)  # fmt: skip
_LISTED = ("full_symbol", "timeframe", "session", "adjustment", "source", *_SERIES_FACTS[:5])
_GAP_FACTS = ("expected", "held", "missing", "share_held", "counts", "n_findings", "why_unknown")
_SYMBOL_FACTS = ("full_symbol", "description", "type", "currency")


class CatalogTools:
    """The tools that read the service's lists."""

    def __init__(self, reader: ServiceReader) -> None:
        self._reader = reader

    def search_symbols(
        self,
        query: Annotated[str, Field(description="part of a name or of a symbol, such as apple")],
        exchange: Annotated[str, Field(description="only this exchange, such as NASDAQ")] = "",
        limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 20,
    ) -> dict[str, Any]:
        """Search instruments by name. Gives symbols for the other tools; their bars may not be held yet."""
        reply = self._reader.get("symbols", "symbols", query=query, exchange=exchange)
        rows = [{name: row.get(name) for name in _SYMBOL_FACTS} for row in reply["symbols"]]
        return {"symbols": rows[:limit], "has_more": reply["has_more"] or len(rows) > limit}

    def list_series(
        self,
        symbol: Annotated[
            str, Field(description="EXCHANGE:SYMBOL or only SYMBOL; all if empty")
        ] = "",
        timeframe: Annotated[str, Field(description="only this timeframe, such as 1D")] = "",
        source: Source = None,
        limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = MOST_ROWS,
        cursor: Annotated[str, Field(description="next_cursor of the list before")] = "",
    ) -> dict[str, Any]:
        """List the series whose bars are held, the one fetched last first."""
        exchange, _, name = symbol.upper().rpartition(":")
        reply = self._reader.get(
            "series", "results", exchange=exchange, symbol=name, timeframe=timeframe,
            source=source, page_size=limit, cursor=cursor,
        )  # fmt: skip
        query = parse_qs(urlsplit(reply["next"] or "").query)
        rows = [
            {field: row[field] for field in _LISTED}
            | {"resource": f"tvdatasets://series/{row['id']}"}
            for row in reply["results"]
        ]
        return {"series": rows, "next_cursor": query.get("cursor", [None])[0]}

    def describe(
        self,
        symbol: Symbol,
        timeframe: TimeframeName = "1h",
        session: Session = "regular",
        adjustment: Adjustment = "splits",
        source: Source = None,
    ) -> dict[str, Any]:
        """Say what is held of one series: range, freshness, gaps, adjustment, source, whether the last bar is final."""
        key = key_of(symbol, timeframe, session, adjustment)
        return self.described(int(self._reader.find_series(key, source)["id"]))

    def described(self, number: int) -> dict[str, Any]:
        """Return the description of the series with this number."""
        row = self._reader.get(f"series/{number}", "freshness")
        gaps = self._reader.get(f"series/{number}/gaps", "counts")
        instrument: Mapping[str, Any] = row["instrument"]
        return {
            **identity(row),
            "description": instrument.get("description"),
            "type": instrument.get("type"),
            "feed": instrument.get("full_name"),
            "hours": instrument.get("session_hours"),
            **{name: row[name] for name in _SERIES_FACTS},
            "freshness": row["freshness"],
            "gaps": {name: gaps[name] for name in _GAP_FACTS},
            "resource": f"tvdatasets://series/{number}",
        }

    def gaps(
        self,
        symbol: Symbol,
        timeframe: TimeframeName = "1h",
        session: Session = "regular",
        adjustment: Adjustment = "splits",
        source: Source = None,
    ) -> dict[str, Any]:
        """List which bars of a series are missing, by the exchange's trading hours, and how that is known."""
        series = self._reader.find_series(key_of(symbol, timeframe, session, adjustment), source)
        report = self._reader.get(f"series/{series['id']}/gaps", "findings")
        return {
            **identity(series),
            **{name: report[name] for name in _GAP_FACTS},
            "second_opinion": report["second_opinion"],
            "largest": report["largest"],
            "findings": report["findings"][:MOST_ROWS],
            "looked_at": report["looked_at"],
        }
