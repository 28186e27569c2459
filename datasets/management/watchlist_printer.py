"""Tables and JSON of watchlists and of their series, for the commands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder
from rich.table import Column, Table

from datasets import watchlists
from datasets.bars import Timeframe
from datasets.management.console import open_console
from datasets.models import Watchlist, database


def values_of(watchlist: Watchlist) -> dict[str, Any]:
    """Return a list's values and the number of its series in each state, ready for JSON."""
    states = watchlists.states_of(watchlist, database.shared_now())
    names = ("name", "owner", "timeframes", "session", "adjustment", "first_bars", "settle_s")
    return {
        **{name: getattr(watchlist, name) for name in (*names, "is_paused")},
        "symbols": [each.full_symbol for each in watchlist.symbols.all()],
        "states": watchlists.counts_of(states),
    }


def print_watchlists(found: Iterable[Watchlist], out: OutputWrapper, *, as_json: bool) -> None:
    """Print every list with the number of its series in each state."""
    rows = [values_of(watchlist) for watchlist in found]
    if as_json:
        out.write(json.dumps(rows, indent=1))
        return
    table = Table("name", "symbols", "timeframes", "paused", Column("series", overflow="fold"))
    for row in rows:
        states = [f"{number} {state}" for state, number in row["states"].items() if number]
        table.add_row(
            row["name"],
            str(len(row["symbols"])),
            ", ".join(Timeframe(each).label for each in row["timeframes"]),
            "yes" if row["is_paused"] else "",
            ", ".join(states),
        )
    open_console().print(table)


def print_series(watchlist: Watchlist, out: OutputWrapper, *, as_json: bool) -> None:
    """Print every series of a list: its state, bars behind, bars, next fetch and last error."""
    rows = [each.as_dict() for each in watchlists.states_of(watchlist, database.shared_now())]
    if as_json:
        out.write(json.dumps(rows, indent=1, cls=DjangoJSONEncoder))
        return
    table = Table(
        "symbol", "timeframe", "state", "behind", "bars", "holes", "next fetch, UTC",
        Column("reason", overflow="fold"),
    )  # fmt: skip
    for row in rows:
        next_run_at = row["next_run_at"]
        table.add_row(
            row["full_symbol"],
            Timeframe(row["timeframe"]).label,
            row["state"],
            "" if row["lag_bars"] is None else str(row["lag_bars"]),
            str(row["count"]),
            str(row["n_holes"]),
            "" if next_run_at is None else f"{next_run_at:%Y-%m-%d %H:%M:%S}",
            row["reason"],
        )
    open_console().print(table)
    for each in watchlist.symbols.exclude(problem=""):
        out.write(f"{each}: {each.problem}")
