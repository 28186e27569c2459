"""Current bars: whether loaded bars have every closed bar, and when the missing ones will be there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from datasets.bars import IMPORTED, BarLength
from datasets.calendars import Lag, find_lag, longest_fetch_delay
from datasets.calendars.gap_findings import to_ms
from datasets.calendars.last_bars import holding_in
from datasets.errors import NotCurrent
from datasets.research.arguments import Origin
from datasets.research.service import Service


def require_current(facts: dict[str, Any], origin: Origin) -> None:
    """Raise `NotCurrent` unless the newest bar of a dataset is the newest that has closed by now.

    Parameters
    ----------
    facts
        The facts of the dataset's file, or of the archive: its calendar decides which bars have
        closed, and its `fetched_at` which the feed was asked for.
    origin
        The origin of the bars. A service also says when its schedule fetches the series next.
    """
    held, now = holding_in(facts), datetime.now(UTC)
    lag = None if facts["key"]["source"] == IMPORTED else find_lag(held, to_ms(now))
    if lag is not None and not lag.n_bars:
        return
    key = facts["key"]
    name = f"{key['exchange']}:{key['symbol']}".strip(":") + f" {key['timeframe']}"
    if lag is None:
        why = held.calendar.why_unknown or "Its bars came from a file, or its calendar has ended."
        raise NotCurrent(f"It is not known whether {name} is current. {why}")
    fresh = _of_service(facts, origin)
    if fresh is not None:
        next_run_at = fresh.get("next_run_at")
        available_at = None if next_run_at is None else datetime.fromisoformat(next_run_at)
        raise NotCurrent(
            f"{name}: {fresh['reason']}", lag_bars=lag.n_bars, available_at=available_at
        )
    raise _of_files(name, lag, held.length, timedelta(milliseconds=held.delay_ms), now)


def _of_service(facts: dict[str, Any], origin: Origin) -> dict[str, Any] | None:
    """Return the freshness that the service says of the series; None without a service or an archive."""
    if origin.url is None:
        return None
    names = ("source", "exchange", "symbol", "timeframe", "session", "adjustment")
    query = {name: facts["key"][name] for name in names if facts["key"][name]}
    with Service(origin.url, origin.token) as service:
        page = service.connection.request_json("GET", "/api/tv/series", "results", params=query)
        found = service.read(lambda: [row["freshness"] for row in page["results"]])
    return found[0] if found else None


def _of_files(
    name: str, lag: Lag, length: BarLength, delay: timedelta, now: datetime
) -> NotCurrent:
    """Return the error by the files alone: a schedule fetches within a known time after a close."""
    expected_through, _, complete_until = lag.instants
    available_at = expected_through + delay + longest_fetch_delay(length)
    message = f"{name}: {lag.sentence}"
    if available_at > now:
        message += f" A watchlist with the series brings them by {available_at:%Y-%m-%d %H:%M} UTC."
        return NotCurrent(message, lag_bars=lag.n_bars, available_at=available_at)
    message += (
        f" TradingView has given the first of them since {complete_until:%Y-%m-%d %H:%M} UTC, so that no watchlist "
        "brings them: load with fetch='stale', or add the series to a watchlist."
    )
    return NotCurrent(message, lag_bars=lag.n_bars)
