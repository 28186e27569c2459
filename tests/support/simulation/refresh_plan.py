"""Plans of a simulation: the series, the changes of their history, and when they are refreshed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from datasets.bars import DatasetKey
from samplefeed.changes import Change, read_change


@dataclass(frozen=True)
class Watched:
    """One series that is refreshed every `every_days` days; stocks not at weekends."""

    symbol: str
    timeframe: str
    n_bars: int = 500
    adjustment: str = "splits"
    every_days: int = 1

    @property
    def key(self) -> DatasetKey:
        exchange, _, symbol = self.symbol.partition(":")
        return DatasetKey.parse(
            source="sample", exchange=exchange, symbol=symbol, timeframe=self.timeframe,
            n_bars=self.n_bars, adjustment=self.adjustment,
        )  # fmt: skip


@dataclass(frozen=True)
class RefreshPlan:
    """A time from `start` on, with the series and all that happens to them.

    The feed gives `window` bars at most. Nothing is refreshed on the days of `pauses`, each from
    its first day to the day after its last.
    """

    start: date
    n_days: int
    window: int
    watched: tuple[Watched, ...]
    changes: tuple[tuple[str, dict[str, Any]], ...]
    pauses: tuple[tuple[date, date], ...] = field(default=())

    @property
    def end(self) -> datetime:
        """The midnight after the day after the last one."""
        return instant(self.start + timedelta(days=self.n_days + 1), 0)

    def read_changes(self) -> list[Change]:
        """Return the changes as the feed reads them."""
        return [read_change(name, args) for name, args in self.changes]

    def days(self) -> Iterable[tuple[date, list[Watched]]]:
        """Yield each day with the series that are refreshed on it."""
        for number in range(self.n_days):
            day = self.start + timedelta(days=number)
            if any(first <= day < end for first, end in self.pauses):
                continue
            is_weekend = day.weekday() > 4
            yield (
                day,
                [
                    each
                    for each in self.watched
                    if number % each.every_days == 0
                    and (not is_weekend or each.symbol.startswith(("BINANCE", "COINBASE")))
                ],
            )


def instant(day: date, hour: int, minute: int = 0) -> datetime:
    """Return a time of a day in UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
