"""The tools that have the service fetch; only with `--allow-fetch`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from datasets.assistant.service_reader import ServiceReader
from datasets.assistant.tool_arguments import Adjustment, Session, Symbol, TimeframeName, key_of
from datasets.research.service.service_http import error_of

# About how many seconds one fetch takes where the service's limit of calls does not delay it.
_FREE_S = 1.0
# Longest wait for the end of a fetch in one call of a tool, and the pause between two looks.
_WAIT_S, _PAUSE_S = 15.0, 0.5
_FACTS = ("id", "state", "ahead", "count", "priority", "notice", "requested_at", "allowed_at")
_HELD = ("count", "first_time", "last_time", "last_bar_final", "fetched_at", "source")


class FetchTools:
    """The tools about the service's queue of fetches."""

    def __init__(self, reader: ServiceReader) -> None:
        self._reader = reader

    def request_fetch(
        self,
        symbol: Symbol,
        timeframe: TimeframeName = "1h",
        n_bars: Annotated[int, Field(ge=1, description="bars back from the newest")] = 5000,
        session: Session = "regular",
        adjustment: Adjustment = "splits",
    ) -> dict[str, Any]:
        """Have the service fetch a series from TradingView, unless it holds fresh bars already.

        The call waits up to 15 seconds. A fetch that takes longer has an estimate in seconds;
        look later with fetch_state. Calls to TradingView are few: fetch only what is needed.
        """
        key = key_of(symbol, timeframe, session, adjustment)
        body = {
            "symbols": [key.full_symbol],
            "timeframe": key.timeframe.value,
            "n_bars": n_bars,
            "session": session,
            "adjustment": adjustment,
        }
        reply = self._reader.post("fetches", "fetches", body)
        for refused in reply["refused"]:
            raise error_of(refused["code"], refused["detail"])
        for cached in reply["cached"]:
            return self._held(cached["dataset"])
        (fetch,) = reply["fetches"]
        return self.fetch_state(fetch["id"])

    def fetch_state(
        self, fetch: Annotated[int, Field(ge=1, description="id in the reply of request_fetch")]
    ) -> dict[str, Any]:
        """Say how far a fetch is; waits up to 15 seconds for its end. A failure is an error with its reason."""
        deadline = time.monotonic() + _WAIT_S
        while True:
            row = self._reader.get(f"fetches/{fetch}", "state")
            if row["state"] == "failed":
                raise error_of(
                    row["error"]["code"], f"{row['full_symbol']}: {row['error']['detail']}"
                )
            if row["state"] == "succeeded" and row["dataset"] is not None:
                return self._held(row["dataset"]) | {"id": fetch, "state": "succeeded"}
            if row["state"] not in ("queued", "running") or time.monotonic() > deadline:
                facts = {name: row[name] for name in _FACTS}
                return {
                    "symbol": row["full_symbol"],
                    **facts,
                    "estimated_s": self._estimated_s(row),
                }
            time.sleep(_PAUSE_S)

    def _held(self, dataset: int) -> dict[str, Any]:
        """Return what the service holds after a fetch, or held before it."""
        row = self._reader.get(f"datasets/{dataset}", "full_symbol")
        facts = {name: row[name] for name in _HELD}
        return {
            "symbol": row["full_symbol"],
            "timeframe": row["timeframe"],
            "state": "held",
            **facts,
        }

    def _estimated_s(self, fetch: dict[str, Any]) -> int:
        """Return about how many seconds the fetch still takes: its pause, and the fetches before it."""
        if fetch["state"] not in ("queued", "running"):
            return 0
        status = self._reader.get("status", "source")
        pause_s = float(status["cool_down_s"] or 0)
        if fetch["allowed_at"] is not None:
            allowed_at = datetime.fromisoformat(fetch["allowed_at"])
            pause_s = max(pause_s, (allowed_at - datetime.now(UTC)).total_seconds())
        n_fetches = int(fetch["ahead"]) + 1
        # A service of an older version does not give its limit.
        per_minute = status.get("calls_per_minute")
        delay_s = 0.0
        if per_minute:
            delay_s = max(n_fetches - int(status["tokens_left"] or 0), 0) * 60 / per_minute
        return round(max(pause_s, 0.0) + max(n_fetches * _FREE_S, delay_s))
